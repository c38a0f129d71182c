// What was written to the Hub: files and folders as one commit, into a repository that is made
// where it is missing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "hub/hub_place.h"
#include "hub/hub_settings.h"

namespace sdtune {

struct UploadTarget {
  HubPlace place;          // its path is the folder to upload to
  bool is_public = false;  // when the repository is made
};

// Bytes of large files that have gone, of all of them.
using UploadProgress = std::function<void(uint64_t sent, uint64_t total)>;

// Puts a file, or a folder with all below it, under its own name into the target's folder. Errors:
// those of hub_error(), files that cannot be read.
void upload(const HubSettings& settings, const UploadTarget& target,
            const std::filesystem::path& saved, const UploadProgress& on_progress);

}  // namespace sdtune
