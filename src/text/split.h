// Cutting a text where a separator stands, and putting parts together with one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sdtune {

// The parts between separators, empty ones too, so one more than there are separators. An empty
// separator occurs nowhere. The parts are views into `text`.
inline std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = separator.empty() ? std::string_view::npos : text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + separator.size());
  }
}

inline std::string join(const std::vector<std::string_view>& parts, std::string_view separator) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += separator;
    text += parts[i];
  }
  return text;
}

}  // namespace sdtune
