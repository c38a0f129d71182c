// What the Hub says of a repository: its files at a revision, and size and checksum of each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hub/hub_client.h"
#include "hub/hub_place.h"

namespace sdtune {

struct RepoListing {
  std::string commit;              // 40 hexadecimal digits
  std::vector<std::string> files;  // names as the server gives them, not yet checked
};

struct RemoteFile {
  std::string name;
  std::string etag;  // its checksum, see checksum.h; letters that may stand in a file's name
  uint64_t size = 0;
};

// The files of a place's repository at its revision. Errors of hub_error(), and for an answer that
// is none of the Hub's.
RepoListing list_files(HubClient& client, const HubPlace& place);

// Asks for one file at `commit`, without its bytes.
RemoteFile look_up(HubClient& client, const HubPlace& place, const std::string& commit,
                   const std::string& name);

// Where a file's bytes are asked for.
std::string file_url(const HubSettings& settings, const HubPlace& place, const std::string& commit,
                     const std::string& name);

// `"abc"`, `W/"abc"` -> `abc`. "" for what must not become the name of a file.
std::string plain_etag(std::string etag);

// ".../api/models/org/name" and what follows.
std::string api_url(const HubSettings& settings, const HubPlace& place, const std::string& rest);

}  // namespace sdtune
