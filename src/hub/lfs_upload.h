// Large files to the Hub, by Git LFS: asks where each goes and sends what is not there yet, whole
// or in the parts that the server wants. Format: the LFS batch API with the Hub's "multipart".
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "hub/hub_client.h"

namespace sdtune {

struct LargeFile {
  std::filesystem::path path;
  std::string sha256;
  uint64_t size = 0;  // not 0
};

// Afterwards the Hub has the bytes, which a commit may then name. `on_sent` is told of bytes as
// they go, and, negative, of those that go again. Errors of hub_error(), and for answers that are
// none.
void send_large_files(HubClient& client, const HubPlace& place, const std::vector<LargeFile>& files,
                      const std::function<void(int64_t bytes)>& on_sent);

}  // namespace sdtune
