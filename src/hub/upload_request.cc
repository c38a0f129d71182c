#include "hub/upload_request.h"

#include <utility>

namespace sdtune {

HttpRequest upload_post(std::string url, std::string body, const char* type) {
  HttpRequest request;
  request.method = "POST";
  request.url = std::move(url);
  request.headers = {std::string("Content-Type: ") + type};
  request.body = std::move(body);
  request.patience_s = kUploadPatience_s;
  return request;
}

Error bad_upload_answer(const HubPlace& place) {
  return Error("the Hub's answer to an upload is none", place.repo, "check HF_ENDPOINT");
}

}  // namespace sdtune
