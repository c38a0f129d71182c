// Where the Hub is, where its cache is, and who asks: from the variables and files that the
// huggingface_hub library reads.
#pragma once

#include <filesystem>
#include <string>

namespace sdtune {

struct HubSettings {
  std::string endpoint = "https://huggingface.co";  // without a slash at the end
  std::filesystem::path cache;                      // holds models--org--name
  std::string token;                                // "" asks as nobody
  std::string certificates;                         // a file of them; "" takes the system's
  bool offline = false;
  double patience_s = 30;     // without a byte, after which a connection counts as cut
  double first_wait_s = 0.5;  // before the second try; each further wait is twice as long
  int parallel_files = 4;
};

// HF_ENDPOINT; HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME; HF_TOKEN,
// HUGGING_FACE_HUB_TOKEN and the token's file (HF_TOKEN_PATH), unless
// HF_HUB_DISABLE_IMPLICIT_TOKEN; HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE; HF_HUB_DOWNLOAD_TIMEOUT;
// REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE. Proxies are libcurl's business. Error for a value that cannot
// be meant.
HubSettings hub_settings_from_environment();

}  // namespace sdtune
