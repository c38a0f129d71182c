#include "text/wildcards.h"

#include <algorithm>
#include <vector>

#include "text/split.h"

namespace sdtune {
namespace {

bool is_pair(std::string_view text, size_t i, char brace) {
  return i + 1 < text.size() && text[i] == brace && text[i + 1] == brace;
}

// Position of the "}" that closes a group with content from `begin` on, or npos. Two braces in a
// row are one literal brace, also within a group.
size_t find_close(std::string_view text, size_t begin) {
  for (size_t i = begin; i < text.size(); ++i) {
    if (is_pair(text, i, '{') || is_pair(text, i, '}')) {
      ++i;
    } else if (text[i] == '}') {
      return i;
    }
  }
  return std::string_view::npos;
}

std::string without_doubled_braces(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    result += text[i];
    if (is_pair(text, i, '{') || is_pair(text, i, '}')) ++i;
  }
  return result;
}

// Calls `choose` with the alternatives of each group and puts in what it returns.
template <class Choose>
std::string expand(std::string_view text, const Choose& choose) {
  std::string result;
  bool may_close = true;  // without a later "}" no group can end: do not look for it again
  for (size_t i = 0; i < text.size(); ++i) {
    if (is_pair(text, i, '{') || is_pair(text, i, '}')) {
      result += text[i++];
      continue;
    }
    const size_t close =
        text[i] == '{' && may_close ? find_close(text, i + 1) : std::string_view::npos;
    if (text[i] == '{' && close == std::string_view::npos) may_close = false;
    if (close == std::string_view::npos || close == i + 1) {
      result += text[i];
      continue;
    }
    result += without_doubled_braces(choose(split(text.substr(i + 1, close - i - 1), "|")));
    i = close;
  }
  return result;
}

}  // namespace

std::string expand_wildcards(std::string_view text, Random& random) {
  return expand(text, [&](const std::vector<std::string_view>& alternatives) {
    return alternatives[random.below(alternatives.size())];
  });
}

bool has_one_expansion(std::string_view text) {
  bool is_one = true;
  expand(text, [&](const std::vector<std::string_view>& alternatives) {
    is_one = is_one && std::all_of(alternatives.begin(), alternatives.end(),
                                   [&](auto other) { return other == alternatives[0]; });
    return alternatives[0];
  });
  return is_one;
}

}  // namespace sdtune
