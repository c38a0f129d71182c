#include "hub/local_copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "hub/fetch_files.h"
#include "hub/hub_cache.h"
#include "hub/hub_client.h"
#include "hub/repository.h"

namespace sdtune {
namespace {

std::string cache_name(const HubPlace& place) {
  HubPlace whole = place;
  whole.path.clear();
  return name_of(whole);
}

// The commit that is in the cache with all that is wanted.
std::optional<std::string> cached_commit(const HubCache& cache, const HubPlace& place,
                                         const FileChoice& choose) {
  const std::optional<std::string> commit = cache.commit_of(place.revision);
  if (!commit) return std::nullopt;
  try {
    choose(cache.files(*commit));
  } catch (const Error&) {
    return std::nullopt;
  }
  return commit;
}

// Brings what is missing of the revision. Returns its commit.
std::string update(const HubSettings& settings, const HubCache& cache, const HubPlace& place,
                   const RepoListing& listing, const FileChoice& choose) {
  std::vector<std::string> names;
  try {
    names = choose(listing.files);
  } catch (const Error& error) {
    throw Error(fmt::format("{} cannot be used: {}", cache_name(place), error.what()),
                settings.endpoint + "/" + place.repo, error.hint());
  }
  std::erase_if(names, [&](const std::string& name) { return cache.has(listing.commit, name); });
  fetch_files(settings, cache, place, listing.commit, names);
  cache.remember(place.revision, listing.commit);
  return listing.commit;
}

std::string find_commit(const HubSettings& settings, const HubCache& cache, const HubPlace& place,
                        const FileChoice& choose) {
  const std::optional<std::string> cached = cached_commit(cache, place, choose);
  // What a fetch was cut short of does not show in the names that are there, but for a single file.
  const bool is_one_file = cached && !place.path.empty() && cache.has(*cached, place.path);
  if (cached && (settings.offline || (is_one_file && is_commit(place.revision)))) return *cached;
  if (settings.offline) {
    throw Error(fmt::format("{} is not in the cache, or not all of it, and the Hub may not be "
                            "asked (HF_HUB_OFFLINE)",
                            name_of(place)),
                settings.cache.string(),
                "run once without HF_HUB_OFFLINE, or correct the name of the model");
  }
  const std::atomic<bool> stop = false;
  HubClient client(settings, stop);
  if (cached) client.be_brief();
  RepoListing listing;
  try {
    listing = list_files(client, place);
  } catch (const Error& error) {
    if (!cached) throw;
    log_warning("{}; the copy in the cache is used", error.what());
    return *cached;
  }
  return update(settings, cache, place, listing, choose);
}

}  // namespace

LocalCopy local_copy(const HubSettings& settings, const HubPlace& place, const FileChoice& choose) {
  const HubCache cache(settings.cache, place);
  const std::string commit = find_commit(settings, cache, place, choose);
  return {cache.snapshot(commit) / place.path, commit};
}

}  // namespace sdtune
