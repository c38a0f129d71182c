#include "data/folder_index.h"

#include <algorithm>

#include "image/decode.h"

namespace sdtune {

namespace fs = std::filesystem;

namespace {

std::unordered_map<std::string, std::string> names_by_stem(const fs::path& folder) {
  std::unordered_map<std::string, std::string> names;
  try {
    for (const fs::path& name : picture_names(folder)) {
      names.try_emplace(name.stem().string(), name.string());
    }
  } catch (const fs::filesystem_error&) {
    // A folder that cannot be read holds no pictures for us; the caller says where it looked.
  }
  return names;
}

}  // namespace

std::vector<fs::path> picture_names(const fs::path& folder) {
  std::vector<fs::path> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const fs::path name = entry.path().filename();
    if (name.string().starts_with('.') || !is_image_name(name)) continue;
    std::error_code error;
    const fs::file_status status = entry.status(error);
    if (!error && fs::exists(status) && !fs::is_regular_file(status)) continue;
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

fs::path FolderIndex::find(const fs::path& stem) {
  const fs::path folder = stem.has_parent_path() ? stem.parent_path() : fs::path(".");
  auto [entry, is_new] = folders_.try_emplace(folder);
  if (is_new) entry->second = names_by_stem(folder);
  const auto found = entry->second.find(stem.filename().string());
  if (found == entry->second.end()) return {};
  return stem.has_parent_path() ? folder / found->second : fs::path(found->second);
}

}  // namespace sdtune
