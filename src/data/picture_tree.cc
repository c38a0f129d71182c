#include "data/picture_tree.h"

#include <algorithm>

#include "base/error.h"
#include "data/folder_index.h"

namespace sdtune {

namespace fs = std::filesystem;

std::vector<fs::path> picture_tree(const fs::path& folder, bool recursive) {
  std::vector<fs::path> pictures;
  std::vector<fs::path> waiting = {fs::path()};
  while (!waiting.empty()) {
    const fs::path below = waiting.back();
    const fs::path here = below.empty() ? folder : folder / below;
    waiting.pop_back();
    try {
      for (const fs::path& name : picture_names(here)) pictures.push_back(below / name);
      if (!recursive) break;
      for (const fs::directory_entry& entry : fs::directory_iterator(here)) {
        const fs::path name = entry.path().filename();
        if (name.string().starts_with('.') || entry.is_symlink() || !entry.is_directory()) continue;
        waiting.push_back(below / name);
      }
    } catch (const fs::filesystem_error& error) {
      throw Error(fmt::format("the picture folder cannot be read: {}", error.code().message()),
                  here.string(), "check the folder's name and permissions");
    }
  }
  std::sort(pictures.begin(), pictures.end());
  return pictures;
}

}  // namespace sdtune
