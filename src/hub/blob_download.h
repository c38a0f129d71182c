// One file's bytes into the cache: resumed where an earlier try was cut, checked, and only then
// under their name. Several processes may want the same one; the first fetches it.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "hub/hub_cache.h"
#include "hub/hub_client.h"
#include "hub/repository.h"

namespace sdtune {

// Afterwards the blob of the returned file's etag is in the cache, whole. That is `file`, unless
// the server's file changed meanwhile. `received` follows the bytes that are there. Errors: those
// of hub_error(), wrong length, wrong checksum, disks that are full.
RemoteFile download_blob(HubClient& client, const HubCache& cache, const HubPlace& place,
                         const std::string& commit, const RemoteFile& file,
                         std::atomic<int64_t>& received);

}  // namespace sdtune
