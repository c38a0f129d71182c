#include "hub/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <exception>
#include <optional>

#include "base/error.h"
#include "base/partial_file.h"

namespace sdtune {
namespace {

constexpr size_t kMaxBody = 64 << 20;
constexpr long kMaxRedirects = 10;
constexpr long kBuffer = 512 << 10;
constexpr double kConnectPatience = 10;

// What the callbacks of one request work on. None of them may throw through libcurl.
struct Transfer {
  const HttpRequest& request;
  const std::atomic<bool>& stop;
  CURL* curl;
  HttpResponse response;
  std::optional<FileReader> file;
  uint64_t sent = 0;
  std::exception_ptr thrown;
};

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  const auto begin = std::find_if_not(text.begin(), text.end(),
                                      [](unsigned char letter) { return std::isspace(letter); });
  return {begin, text.end()};
}

size_t on_header(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string line(data, size);
  if (line.starts_with("HTTP/")) transfer.response.headers.clear();  // of another answer
  const size_t colon = line.find(':');
  if (colon == std::string::npos) return size;
  std::string name = line.substr(0, colon);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char letter) { return std::tolower(letter); });
  transfer.response.headers[name] = trimmed(line.substr(colon + 1));
  return size;
}

size_t on_body(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  HttpResponse& response = transfer.response;
  long status = 0;
  curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
  response.status = static_cast<int>(status);
  if (!transfer.request.sink || status / 100 != 2) {
    if (response.body.size() + size > kMaxBody) return 0;
    response.body.append(data, size);
    return size;
  }
  try {
    transfer.request.sink(response, std::as_bytes(std::span(data, size)));
  } catch (...) {
    transfer.thrown = std::current_exception();
    return 0;
  }
  return size;
}

size_t on_read(char* data, size_t, size_t room, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const FilePart& part = transfer.request.file;
  try {
    const size_t wanted = std::min<uint64_t>(room, part.length - transfer.sent);
    const size_t got = transfer.file->read(part.offset + transfer.sent,
                                           std::as_writable_bytes(std::span(data, wanted)));
    if (got < wanted) throw Error("the file was shortened while it was sent", part.path.string());
    transfer.sent += got;
    if (transfer.request.on_sent) transfer.request.on_sent(got);
    return got;
  } catch (...) {
    transfer.thrown = std::current_exception();
    return CURL_READFUNC_ABORT;
  }
}

// A connection that is used anew may have to send once more.
int on_seek(void* user, curl_off_t offset, int origin) {
  if (origin != SEEK_SET) return CURL_SEEKFUNC_FAIL;
  static_cast<Transfer*>(user)->sent = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Transfer*>(user)->stop ? 1 : 0;
}

HttpResponse::Failure failure_of(CURLcode code) {
  using Failure = HttpResponse::Failure;
  switch (code) {
    case CURLE_OK:
      return Failure::kNone;
    case CURLE_ABORTED_BY_CALLBACK:
      return Failure::kStopped;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
      return Failure::kNoConnection;
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_CONNECT_ERROR:
      return Failure::kCut;
    default:
      return Failure::kRefused;
  }
}

class HeaderList {
 public:
  explicit HeaderList(const std::vector<std::string>& headers) {
    for (const std::string& header : headers) list_ = curl_slist_append(list_, header.c_str());
    list_ = curl_slist_append(list_, "Expect:");  // no asking before a body is sent
  }
  ~HeaderList() { curl_slist_free_all(list_); }
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

void set_method(CURL* curl, const HttpRequest& request) {
  if (request.method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (request.method == "POST") {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
    // What is moved is asked for in the same way.
    curl_easy_setopt(curl, CURLOPT_POSTREDIR, static_cast<long>(CURL_REDIR_POST_ALL));
  } else if (request.method == "PUT") {
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.file.length));
  }
}

void set_limits(CURL* curl, const HttpSettings& settings, const HttpRequest& request) {
  const double patience = request.patience_s > 0 ? request.patience_s : settings.patience_s;
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, kBuffer);
  curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, kBuffer);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, kMaxRedirects);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(std::min(patience, kConnectPatience) * 1000));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(std::ceil(patience)));
  if (!settings.certificates.empty()) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, settings.certificates.c_str());
  }
}

void set_callbacks(CURL* curl, Transfer& transfer) {
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
  curl_easy_setopt(curl, CURLOPT_READDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
  curl_easy_setopt(curl, CURLOPT_SEEKDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
}

}  // namespace

std::string HttpResponse::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

HttpClient::HttpClient(HttpSettings settings) : settings_(std::move(settings)) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  curl_ = ready == CURLE_OK ? curl_easy_init() : nullptr;
  if (curl_ == nullptr) throw Error("libcurl cannot be used");
}

HttpClient::~HttpClient() { curl_easy_cleanup(curl_); }

HttpResponse HttpClient::send(const HttpRequest& request, const std::atomic<bool>& stop) {
  CURL* curl = curl_;
  curl_easy_reset(curl);  // connections stay
  Transfer transfer{request, stop, curl, {}, std::nullopt, 0, nullptr};
  if (request.method == "PUT") transfer.file.emplace(request.file.path);
  const HeaderList headers(request.headers);
  char reason[CURL_ERROR_SIZE] = {};
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "sdtune");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, request.follow_redirects ? 1L : 0L);
  set_method(curl, request);
  set_limits(curl, settings_, request);
  set_callbacks(curl, transfer);

  const CURLcode code = curl_easy_perform(curl);
  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  HttpResponse& response = transfer.response;
  response.failure = failure_of(code);
  if (code != CURLE_OK) response.reason = *reason != '\0' ? reason : curl_easy_strerror(code);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  response.status = static_cast<int>(status);
  curl_off_t retry_after = 0;
  curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after);
  response.retry_after_s = static_cast<double>(retry_after);
  return std::move(response);
}

}  // namespace sdtune
