#include "hub/lfs_upload.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/numbers.h"
#include "hub/upload_request.h"

namespace sdtune {
namespace {

using nlohmann::json;

constexpr const char* kLfs = "application/vnd.git-lfs+json";

HttpRequest lfs_post(std::string url, const json& body) {
  HttpRequest request = upload_post(std::move(url), body.dump(), kLfs);
  request.headers.push_back(std::string("Accept: ") + kLfs);
  return request;
}

std::string batch_url(const HubClient& client, const HubPlace& place) {
  return fmt::format("{}/{}.git/info/lfs/objects/batch", client.settings().endpoint,
                     percent_encode(repo_path(place), true));
}

std::optional<uint64_t> number(const json& value) {
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  if (!value.is_string()) return std::nullopt;
  return number_in<uint64_t>(value.get<std::string>());
}

class Sender {
 public:
  Sender(HubClient& client, const HubPlace& place,
         const std::function<void(int64_t bytes)>& on_sent)
      : client_(client), place_(place), on_sent_(on_sent) {}

  // `actions` of one object of the batch's answer.
  void send(const LargeFile& file, const json& actions) {
    const json& upload = actions.at("upload");
    const std::string url = upload.at("href").get<std::string>();
    const json headers = upload.value("header", json::object());
    if (headers.contains("chunk_size")) {
      send_in_parts(file, url, headers);
    } else {
      put({file.path, 0, file.size}, url, headers);
    }
    if (actions.contains("verify")) {
      const json content = {{"oid", file.sha256}, {"size", file.size}};
      client_.ask(lfs_post(actions["verify"].at("href").get<std::string>(), content), place_);
    }
  }

 private:
  HttpResponse put(FilePart part, const std::string& url, const json& headers) {
    HttpRequest request;
    request.method = "PUT";
    request.url = url;
    request.file = std::move(part);
    request.patience_s = kUploadPatience_s;
    for (const auto& [name, value] : headers.items()) {
      if (value.is_string()) request.headers.push_back(name + ": " + value.get<std::string>());
    }
    int64_t sent = 0;
    request.on_sent = [&](size_t bytes) {
      sent += static_cast<int64_t>(bytes);
      on_sent_(static_cast<int64_t>(bytes));
    };
    Retries retries(client_.settings().first_wait_s, client_.stop());
    while (true) {
      HttpResponse response = client_.send_once(request);
      if (response.ok()) return response;
      on_sent_(-sent);
      sent = 0;
      if (!retries.again(response, place_.repo)) {
        throw hub_error(response, place_, client_.settings());
      }
    }
  }

  // The header holds "00001": an address for each part, and "chunk_size".
  void send_in_parts(const LargeFile& file, const std::string& url, const json& header) {
    std::map<uint64_t, std::string> addresses;
    for (const auto& [name, value] : header.items()) {
      const auto part = number(json(name));
      if (part && value.is_string()) addresses[*part] = value.get<std::string>();
    }
    const uint64_t size = number(header["chunk_size"]).value_or(0);
    if (size == 0 || addresses.size() != (file.size + size - 1) / size)
      throw bad_upload_answer(place_);
    json parts = json::array();
    uint64_t offset = 0;
    for (const auto& [part, address] : addresses) {
      const uint64_t length = std::min(size, file.size - offset);
      const HttpResponse response = put({file.path, offset, length}, address, json::object());
      parts.push_back({{"partNumber", parts.size() + 1}, {"etag", response.header("etag")}});
      offset += length;
    }
    client_.ask(lfs_post(url, {{"oid", file.sha256}, {"parts", parts}}), place_);
  }

  HubClient& client_;
  const HubPlace& place_;
  const std::function<void(int64_t bytes)>& on_sent_;
};

json ask_where(HubClient& client, const HubPlace& place, std::span<const LargeFile> files) {
  json objects = json::array();
  for (const LargeFile& file : files) {
    objects.push_back({{"oid", file.sha256}, {"size", file.size}});
  }
  const json body = {{"operation", "upload"},
                     {"transfers", {"basic", "multipart"}},
                     {"objects", objects},
                     {"hash_algo", "sha256"},
                     {"ref", {{"name", place.revision}}}};
  const HttpResponse response = client.ask(lfs_post(batch_url(client, place), body), place);
  return json::parse(response.body).at("objects");
}

}  // namespace

void send_large_files(HubClient& client, const HubPlace& place, const std::vector<LargeFile>& files,
                      const std::function<void(int64_t bytes)>& on_sent) {
  Sender sender(client, place, on_sent);
  try {
    for (size_t at = 0; at < files.size(); at += kUploadsAtOnce) {
      const auto some = std::span(files).subspan(at, std::min(kUploadsAtOnce, files.size() - at));
      for (const json& object : ask_where(client, place, some)) {
        const std::string oid = object.at("oid").get<std::string>();
        const auto file = std::find_if(some.begin(), some.end(),
                                       [&](const LargeFile& f) { return f.sha256 == oid; });
        if (file == some.end() || object.contains("error")) throw bad_upload_answer(place);
        // Without actions the bytes are there already.
        if (object.contains("actions")) sender.send(*file, object["actions"]);
      }
    }
  } catch (const json::exception&) {
    throw bad_upload_answer(place);
  }
}

}  // namespace sdtune
