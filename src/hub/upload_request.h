// What the requests of an upload have in common, of a commit's and of Git LFS'.
#pragma once

#include <cstddef>
#include <string>

#include "base/error.h"
#include "hub/http.h"
#include "hub/hub_place.h"

namespace sdtune {

constexpr size_t kUploadsAtOnce = 256;     // files in one request
constexpr double kUploadPatience_s = 300;  // a server takes its time to look at gigabytes

HttpRequest upload_post(std::string url, std::string body, const char* type = "application/json");

// For an answer without what was asked for.
Error bad_upload_answer(const HubPlace& place);

}  // namespace sdtune
