// Names in a warning: the first five, so that a hundred thousand faults stay one line.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "base/log.h"

namespace sdtune {

inline constexpr size_t kNamesShown = 5;

template <class Name>  // std::string or std::filesystem::path
std::string first_names(const std::vector<Name>& names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kNamesShown); ++i) {
    if (i > 0) text += ", ";
    text += std::filesystem::path(names[i]).string();
  }
  return names.size() > kNamesShown ? text + ", …" : text;
}

// Pictures whose key in metadata an earlier one has.
inline void warn_of_repeated(const std::vector<std::filesystem::path>& pictures) {
  if (pictures.empty()) return;
  log_warning("{} pictures share the name of another one without its extension, and its entry: {}",
              pictures.size(), first_names(pictures));
}

// Pictures that metadata has no key for.
inline void warn_of_other_encodings(const std::vector<std::filesystem::path>& pictures) {
  if (pictures.empty()) return;
  log_warning(
      "{} pictures are left out, as their names are not UTF-8 and cannot stand in metadata; rename "
      "them: {}",
      pictures.size(), first_names(pictures));
}

}  // namespace sdtune
