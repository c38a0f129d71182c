// Finds pictures by their names without extensions, listing each folder once: metadata of a hundred
// thousand stems would otherwise ask the file system two million times.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace sdtune {

class FolderIndex {
 public:
  // The picture `<stem>.<any picture extension>`, the first by name where there are several; empty
  // when there is none or the folder cannot be read.
  std::filesystem::path find(const std::filesystem::path& stem);

 private:
  using Names = std::unordered_map<std::string, std::string>;  // stem to file name
  std::map<std::filesystem::path, Names> folders_;
};

// The names of a folder's pictures, sorted; links that lead nowhere are among them, pipes, devices
// and names that begin with a dot are not. Throws std::filesystem::filesystem_error.
std::vector<std::filesystem::path> picture_names(const std::filesystem::path& folder);

}  // namespace sdtune
