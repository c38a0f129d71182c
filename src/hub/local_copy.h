// What a name on the Hub stands for, on this machine: from the cache, fetched first where it is
// missing or has changed. The one door to downloads.
#pragma once

#include <filesystem>
#include <string>

#include "hub/hub_place.h"
#include "hub/hub_settings.h"
#include "hub/model_files.h"

namespace sdtune {

struct LocalCopy {
  std::filesystem::path path;  // of the place's file or folder
  std::string commit;          // that its revision stands for
};

// Asks the Hub which commit the revision is and what it holds, unless it is a commit and its one
// file is there. Where the Hub cannot answer, a cache that has all `choose` wants is enough, with a
// warning; offline, nothing is asked. Errors: those of hub_error(), of `choose`, and of a cache
// that lacks files while offline.
LocalCopy local_copy(const HubSettings& settings, const HubPlace& place, const FileChoice& choose);

}  // namespace sdtune
