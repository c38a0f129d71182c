// The cache folder that all programs of the Hugging Face Hub share:
//   models--org--name/blobs/<etag>             bytes, ".incomplete" until they are whole
//   models--org--name/snapshots/<commit>/file  links to blobs
//   models--org--name/refs/<revision>          the commit that a branch or tag was last seen at
//   .locks/models--org--name/<etag>.lock       held while a blob is fetched
// Layout: huggingface_hub's "Understand caching". Nothing is fetched here.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "hub/hub_place.h"

namespace sdtune {

class HubCache {
 public:
  HubCache(const std::filesystem::path& root, const HubPlace& place);

  std::filesystem::path snapshot(const std::string& commit) const;
  std::filesystem::path blob(const std::string& etag) const;
  std::filesystem::path lock(const std::string& etag) const;

  // The commit of a branch or tag as last seen; a commit is itself. Nothing when it was never seen.
  std::optional<std::string> commit_of(const std::string& revision) const;
  void remember(const std::string& revision, const std::string& commit) const;

  // Names in a snapshot whose bytes are there.
  std::vector<std::string> files(const std::string& commit) const;
  bool has(const std::string& commit, const std::string& name) const;

  // Makes the folders that the three below stand in. Error when they cannot be written to.
  void make_folders() const;
  // Gives the bytes of a blob a name in a snapshot, in place of what has it. A copy is made where
  // the file system has no links.
  void link(const std::string& commit, const std::string& name, const std::string& etag) const;

 private:
  std::filesystem::path folder_;
  std::filesystem::path locks_;
};

}  // namespace sdtune
