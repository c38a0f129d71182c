#include "hub/hub_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/numbers.h"
#include "base/system.h"

namespace sdtune {
namespace {

constexpr uint64_t kMaxTokenFile = 1 << 16;

std::optional<std::string> first_of(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (auto value = environment_variable(name)) return value;
  }
  return std::nullopt;
}

bool is_true(std::initializer_list<const char*> names) {
  std::string value = first_of(names).value_or("");
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char letter) { return std::toupper(letter); });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

fs::path with_home(const std::string& path) {
  if (path != "~" && !path.starts_with("~/")) return path;
  return environment_variable("HOME").value_or("") + path.substr(1);
}

fs::path hub_home() {
  if (const auto home = environment_variable("HF_HOME")) return with_home(*home);
  return with_home(environment_variable("XDG_CACHE_HOME").value_or("~/.cache")) / "huggingface";
}

std::string trimmed(const std::string& text) {
  const char* kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string find_token() {
  std::string token = trimmed(first_of({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}).value_or(""));
  std::string where = "HF_TOKEN";
  if (token.empty()) {
    const auto stated = environment_variable("HF_TOKEN_PATH");
    const fs::path file = stated ? with_home(*stated) : hub_home() / "token";
    std::error_code ignored;
    if (!fs::is_regular_file(file, ignored)) return "";
    token = trimmed(read_file(file, kMaxTokenFile));
    where = file.string();
  }
  // It becomes part of a header.
  if (!std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; })) {
    throw Error("the token of the Hugging Face Hub has letters that no token has", where,
                "copy it again from huggingface.co/settings/tokens");
  }
  return token;
}

std::string find_endpoint() {
  std::string endpoint = first_of({"HF_ENDPOINT"}).value_or(HubSettings().endpoint);
  while (endpoint.ends_with('/')) endpoint.pop_back();
  if (!endpoint.starts_with("https://") && !endpoint.starts_with("http://")) {
    throw Error(fmt::format("\"{}\" is no address of a Hub", endpoint), "HF_ENDPOINT",
                "give an address that begins with https://");
  }
  return endpoint;
}

}  // namespace

HubSettings hub_settings_from_environment() {
  HubSettings settings;
  settings.endpoint = find_endpoint();
  const auto cache = first_of({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  settings.cache = cache ? with_home(*cache) : hub_home() / "hub";
  if (!is_true({"HF_HUB_DISABLE_IMPLICIT_TOKEN"})) settings.token = find_token();
  settings.certificates = first_of({"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}).value_or("");
  settings.offline = is_true({"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"});
  if (const auto patience = environment_variable("HF_HUB_DOWNLOAD_TIMEOUT")) {
    settings.patience_s = number_in<double>(*patience).value_or(0);
    if (settings.patience_s < 1 || settings.patience_s > 1e6) {
      throw Error(fmt::format("\"{}\" is no number of seconds", *patience),
                  "HF_HUB_DOWNLOAD_TIMEOUT", "give seconds, 1 or more");
    }
  }
  return settings;
}

}  // namespace sdtune
