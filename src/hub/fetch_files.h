// Files of a repository into the cache, several at a time, with progress.
#pragma once

#include <string>
#include <vector>

#include "hub/hub_cache.h"
#include "hub/hub_place.h"
#include "hub/hub_settings.h"

namespace sdtune {

// Afterwards `names` are all in the snapshot of `commit`. Error of the first that fails; what has
// arrived by then is kept for the next time. Names that would lead out of the cache are an Error.
void fetch_files(const HubSettings& settings, const HubCache& cache, const HubPlace& place,
                 const std::string& commit, const std::vector<std::string>& names);

}  // namespace sdtune
