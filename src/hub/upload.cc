#include "hub/upload.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/partial_file.h"
#include "hub/checksum.h"
#include "hub/hub_client.h"
#include "hub/lfs_upload.h"
#include "hub/repository.h"
#include "hub/upload_request.h"

namespace sdtune {
namespace {

using nlohmann::json;

constexpr size_t kSampleBytes = 512;
constexpr uint64_t kMaxRegularFile = 64 << 20;

struct FileToSend {
  fs::path path;
  std::string name;  // in the repository
  uint64_t size = 0;
  bool is_large = false, is_ignored = false;
  std::string sha256;  // of large ones
};

std::string base64(const std::string& bytes) {
  std::string text((bytes.size() + 2) / 3 * 4, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                  reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  return text;
}

std::vector<FileToSend> files_of(const fs::path& saved, const HubPlace& place) {
  const fs::path folder = fs::path(place.path) / saved.filename();
  std::vector<FileToSend> files;
  if (!fs::is_directory(saved)) {
    files.push_back({saved, folder.generic_string(), fs::file_size(saved)});
    return files;
  }
  for (const auto& entry : fs::recursive_directory_iterator(saved)) {
    if (!entry.is_regular_file()) continue;
    const fs::path name = folder / entry.path().lexically_relative(saved);
    files.push_back({entry.path(), name.generic_string(), entry.file_size()});
  }
  std::sort(files.begin(), files.end(),
            [](const FileToSend& a, const FileToSend& b) { return a.name < b.name; });
  return files;
}

void make_repository(HubClient& client, const UploadTarget& target) {
  const HubPlace& place = target.place;
  HttpRequest request;
  request.url = api_url(client.settings(), place, "");
  if (client.ask(request, place, /*may_fail=*/404).ok()) return;
  const size_t slash = place.repo.find('/');
  json body = {{"organization", place.repo.substr(0, slash)},
               {"name", place.repo.substr(slash + 1)},
               {"private", !target.is_public}};
  if (place.type != "model") body["type"] = place.type;
  constexpr int kMadeMeanwhile = 409;
  client.ask(upload_post(client.settings().endpoint + "/api/repos/create", body.dump()), place,
             kMadeMeanwhile);
}

// Asks which files go by LFS.
void choose_ways(HubClient& client, const HubPlace& place, std::vector<FileToSend>& files) {
  std::map<std::string, FileToSend*> by_name;
  for (size_t at = 0; at < files.size(); at += kUploadsAtOnce) {
    json list = json::array();
    for (size_t i = at; i < std::min(files.size(), at + kUploadsAtOnce); ++i) {
      std::string sample(std::min<uint64_t>(files[i].size, kSampleBytes), '\0');
      FileReader(files[i].path).read(0, std::as_writable_bytes(std::span(sample)));
      list.push_back(
          {{"path", files[i].name}, {"sample", base64(sample)}, {"size", files[i].size}});
      by_name[files[i].name] = &files[i];
    }
    const std::string url = api_url(client.settings(), place, "/preupload/main");
    const json body = {{"files", list}};
    const auto answer = json::parse(client.ask(upload_post(url, body.dump()), place).body);
    for (const json& entry : answer.at("files")) {
      const auto file = by_name.find(entry.at("path").get<std::string>());
      if (file == by_name.end()) continue;
      // LFS has no empty files.
      file->second->is_large = entry.at("uploadMode") == "lfs" && file->second->size > 0;
      file->second->is_ignored = entry.value("shouldIgnore", false);
    }
  }
}

void send_bytes(HubClient& client, const HubPlace& place, std::vector<FileToSend>& files,
                const UploadProgress& on_progress) {
  std::vector<LargeFile> large;
  uint64_t total = 0;
  for (FileToSend& file : files) {
    if (!file.is_large || file.is_ignored) continue;
    file.sha256 = checksum_of_file(file.path, Checksum::Kind::kSha256);
    large.push_back({file.path, file.sha256, file.size});
    total += file.size;
  }
  int64_t sent = 0;
  send_large_files(client, place, large, [&](int64_t bytes) {
    sent += bytes;
    on_progress(static_cast<uint64_t>(sent), total);
  });
}

// Newline-delimited JSON: a head, and a line for each file.
void commit(HubClient& client, const HubPlace& place, const std::vector<FileToSend>& files,
            const std::string& summary) {
  const json head = {{"key", "header"}, {"value", {{"summary", summary}, {"description", ""}}}};
  std::string body = head.dump() + "\n";
  for (const FileToSend& file : files) {
    if (file.is_ignored) continue;
    json line;
    if (file.is_large) {
      line = {
          {"key", "lfsFile"},
          {"value",
           {{"path", file.name}, {"algo", "sha256"}, {"oid", file.sha256}, {"size", file.size}}}};
    } else {
      line = {{"key", "file"},
              {"value",
               {{"path", file.name},
                {"encoding", "base64"},
                {"content", base64(read_file(file.path, kMaxRegularFile))}}}};
    }
    body += line.dump() + "\n";
  }
  client.ask(upload_post(api_url(client.settings(), place, "/commit/main"), std::move(body),
                         "application/x-ndjson"),
             place);
}

}  // namespace

void upload(const HubSettings& settings, const UploadTarget& target, const fs::path& saved,
            const UploadProgress& on_progress) {
  if (settings.offline) {
    throw Error("the Hub may not be asked (HF_HUB_OFFLINE)", target.place.repo,
                "upload it by hand, or run without HF_HUB_OFFLINE");
  }
  const std::atomic<bool> stop = false;
  HubClient client(settings, stop);
  HubPlace place = target.place;
  std::vector<FileToSend> files = files_of(saved, place);
  place.path.clear();  // what an answer is about is the repository
  try {
    make_repository(client, {place, target.is_public});
    choose_ways(client, place, files);
    send_bytes(client, place, files, on_progress);
    commit(client, place, files, fmt::format("Add {}", saved.filename().string()));
  } catch (const json::exception&) {
    throw bad_upload_answer(place);
  }
}

}  // namespace sdtune
