// Names in a warning: the first five, so that a hundred thousand faults stay one line.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

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

}  // namespace sdtune
