#include "hub/blob_download.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <system_error>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/partial_file.h"
#include "hub/checksum.h"

namespace sdtune {
namespace {

// The bytes so far and their checksum.
class Gathering {
 public:
  Gathering(fs::path path, const RemoteFile& file, std::atomic<int64_t>& received)
      : path_(std::move(path)), want_(file), received_(received), partial_(path_) {
    if (partial_.size() > want_.size) partial_.clear();
    start_checksum();
    received_ += static_cast<int64_t>(partial_.size());
  }

  uint64_t size() const { return partial_.size(); }
  bool is_full() const { return partial_.size() == want_.size; }
  bool is_too_long() const { return is_too_long_; }

  void start_anew() {
    received_ -= static_cast<int64_t>(partial_.size());
    partial_.clear();
    is_too_long_ = false;
    start_checksum();
  }

  // False when the server sends more than it announced.
  bool take(std::span<const std::byte> piece) {
    if (piece.size() > want_.size - partial_.size()) {
      is_too_long_ = true;
      return false;
    }
    partial_.append(piece);
    if (checksum_) checksum_->update(piece);
    received_ += static_cast<int64_t>(piece.size());
    return true;
  }

  // Whether the bytes are those that the ETag names, as far as it names any. Once.
  bool is_right() { return !checksum_ || checksum_->hex() == want_.etag; }

  void commit(const fs::path& target) { partial_.commit(target); }

 private:
  void start_checksum() {
    const auto kind = checksum_kind(want_.etag);
    if (!kind) return;
    checksum_.emplace(*kind, want_.size);
    checksum_->update_from_file(path_);
  }

  fs::path path_;
  const RemoteFile& want_;
  std::atomic<int64_t>& received_;
  PartialFile partial_;
  std::optional<Checksum> checksum_;
  bool is_too_long_ = false;
};

// The first byte's place in "bytes 5-9/10".
std::optional<uint64_t> range_begin(const std::string& text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return std::nullopt;
  uint64_t begin = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + kUnit.size(), end, begin);
  return error == std::errc() && stop != end && *stop == '-' ? std::optional(begin) : std::nullopt;
}

// Thrown through HttpClient::send() to leave a transfer whose bytes are of no use.
struct LeaveTransfer {};

// One request for what is missing. Nothing when its bytes could not be used and the next one starts
// from the first byte.
std::optional<HttpResponse> ask_for_rest(HubClient& client, const std::string& url,
                                         std::string& version, Gathering& bytes) {
  HttpRequest request;
  request.url = url;
  request.headers = {"Accept-Encoding: identity"};
  if (bytes.size() > 0) {
    request.headers.push_back(fmt::format("Range: bytes={}-", bytes.size()));
    // The ETag of the host that sends the bytes, which need not be the Hub's.
    if (!version.empty()) request.headers.push_back("If-Range: " + version);
  }
  bool is_begun = false;
  request.sink = [&](const HttpResponse& head, std::span<const std::byte> piece) {
    if (!is_begun) {
      is_begun = true;
      version = head.header("etag").starts_with("\"") ? head.header("etag") : "";
      if (head.status != 206 && bytes.size() > 0) bytes.start_anew();
      if (head.status == 206 && range_begin(head.header("content-range")) != bytes.size()) {
        bytes.start_anew();
        throw LeaveTransfer();
      }
    }
    if (!bytes.take(piece)) throw LeaveTransfer();
  };
  try {
    return client.send_once(request);
  } catch (const LeaveTransfer&) {
    return std::nullopt;
  }
}

// Requests until all bytes are there. False when the server sends other lengths than it announced.
bool gather(HubClient& client, const HubPlace& place, const std::string& url, Gathering& bytes) {
  Retries retries(client.settings().first_wait_s, client.stop());
  std::string version;
  bool is_range_refused = false;
  while (!bytes.is_full()) {
    const uint64_t before = bytes.size();
    std::optional<HttpResponse> response = ask_for_rest(client, url, version, bytes);
    if (bytes.is_too_long()) return false;
    if (bytes.is_full()) break;
    if (bytes.size() > before) retries.succeeded();
    if (!response || response->status == 416) {
      if (is_range_refused) return false;
      is_range_refused = true;
      bytes.start_anew();
      continue;
    }
    const bool is_short = response->ok();  // a whole answer of too few bytes
    if (is_short) {
      response->failure = HttpResponse::Failure::kCut;
      response->reason = "the answer ended early";
    }
    if (retries.again(*response, name_of(place))) continue;
    if (is_short) return false;
    throw hub_error(*response, place, client.settings());
  }
  return true;
}

void check_room(const fs::path& blobs, const RemoteFile& file, uint64_t there) {
  const uint64_t room = free_bytes(blobs);
  if (there >= file.size || file.size - there <= room) return;
  throw Error(
      fmt::format("{} needs {:.1f} GB, and {:.1f} GB are free", file.name,
                  static_cast<double>(file.size - there) / 1e9, static_cast<double>(room) / 1e9),
      blobs.string(), "free some space, or set HF_HOME to a folder on another disk");
}

bool is_there(const fs::path& blob, uint64_t size) {
  std::error_code failure;
  return fs::file_size(blob, failure) == size && !failure;
}

// True when the blob is there, whole.
bool try_download(HubClient& client, const HubCache& cache, const HubPlace& place,
                  const std::string& url, const RemoteFile& file, std::atomic<int64_t>& received) {
  const fs::path blob = cache.blob(file.etag);
  const WaitingLock lock(cache.lock(file.etag), [&] {
    log_info("{}: another process fetches it; waiting", name_of(place));
  });
  if (is_there(blob, file.size)) {
    received += static_cast<int64_t>(file.size);
    return true;
  }
  const fs::path partial = blob.string() + ".incomplete";
  {
    Gathering bytes(partial, file, received);
    check_room(blob.parent_path(), file, bytes.size());
    if (gather(client, place, url, bytes) && bytes.is_right()) {
      bytes.commit(blob);
      return true;
    }
    received -= static_cast<int64_t>(bytes.size());
  }
  std::error_code ignored;
  fs::remove(partial, ignored);
  return false;
}

}  // namespace

RemoteFile download_blob(HubClient& client, const HubCache& cache, const HubPlace& place,
                         const std::string& commit, const RemoteFile& file,
                         std::atomic<int64_t>& received) {
  HubPlace named = place;
  named.path = file.name;
  const std::string url = file_url(client.settings(), place, commit, file.name);
  if (try_download(client, cache, named, url, file, received)) return file;
  log_warning("{}: the bytes received are not those that the Hub announced; fetching it once more",
              name_of(named));
  const RemoteFile now = look_up(client, place, commit, file.name);
  if (try_download(client, cache, named, url, now, received)) return now;
  throw Error(fmt::format("{} arrives with another length or checksum than the Hub announces",
                          name_of(named)),
              url, "try again later; a proxy or mirror in between may be what is wrong");
}

}  // namespace sdtune
