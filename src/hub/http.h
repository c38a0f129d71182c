// HTTP over libcurl: one request, one answer, with what went wrong on the way as data. Proxies come
// from libcurl's own variables (https_proxy, no_proxy …). It knows nothing of the Hub and tries
// nothing twice.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sdtune {

struct HttpSettings {
  double patience_s = 30;    // without a byte, after which a connection counts as cut
  std::string certificates;  // a file of them; "" takes the system's
};

struct HttpResponse {
  enum class Failure {
    kNone,
    kNoConnection,  // no host, no proxy, nobody listens
    kCut,           // ended before the answer was whole, or said nothing for too long
    kRefused,       // certificates, addresses that are none, redirects without an end
    kStopped,       // told to stop
  };
  Failure failure = Failure::kNone;
  std::string reason;  // of the failure, in libcurl's words

  int status = 0;
  std::map<std::string, std::string> headers;  // of the last answer, names in small letters
  std::string body;                            // what no sink took, up to a limit
  double retry_after_s = 0;                    // what the server asks for

  bool ok() const { return failure == Failure::kNone && status / 100 == 2; }
  std::string header(const std::string& name) const;  // "" when it is not there
};

// A run of a file's bytes, sent as they are.
struct FilePart {
  std::filesystem::path path;
  uint64_t offset = 0, length = 0;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;                  // of a POST
  FilePart file;                     // of a PUT
  bool follow_redirects = true;      // "Authorization" goes to the first host alone
  double patience_s = 0;             // instead of the settings' when it is not 0
  // Takes the body of a 2xx, piece by piece, after its headers. What it throws, send() throws.
  std::function<void(const HttpResponse& head, std::span<const std::byte> piece)> sink;
  std::function<void(size_t bytes)> on_sent;  // of a PUT
};

// Keeps its connections for the next request. For one thread.
class HttpClient {
 public:
  explicit HttpClient(HttpSettings settings);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Once `stop` is set, requests under way end with kStopped.
  HttpResponse send(const HttpRequest& request, const std::atomic<bool>& stop);

 private:
  HttpSettings settings_;
  void* curl_;
};

}  // namespace sdtune
