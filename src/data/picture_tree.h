// The pictures of a folder with those of its sub-folders. Which names are pictures is decided in
// data/folder_index.h; nothing is opened here.
#pragma once

#include <filesystem>
#include <vector>

namespace sdtune {

// Paths relative to `folder`, sorted; without `recursive` those of the folder alone. Sub-folders
// that are links or begin with a dot are not entered. Throws Error when a folder cannot be read.
std::vector<std::filesystem::path> picture_tree(const std::filesystem::path& folder,
                                                bool recursive);

}  // namespace sdtune
