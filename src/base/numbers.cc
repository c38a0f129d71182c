#include "base/numbers.h"

#include <algorithm>

namespace sdtune {

std::vector<std::string_view> list_words(std::string_view text) {
  constexpr const char* kSpace = " \t\r\n";
  constexpr const char* kEnds = ", \t\r\n";
  const auto skip_space = [&] {
    text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  };
  std::vector<std::string_view> words;
  skip_space();
  for (bool expected = !text.empty(); expected;) {
    const size_t end = std::min(text.find_first_of(kEnds), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
    skip_space();
    expected = !text.empty();
    if (!text.starts_with(',')) continue;
    text.remove_prefix(1);
    skip_space();
  }
  return words;
}

}  // namespace sdtune
