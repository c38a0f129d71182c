#include "text/white_space.h"

#include <algorithm>
#include <iterator>

namespace sdtune {
namespace {

bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 28 && c <= 31); }

// The others: U+0085, U+00A0, U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000.
constexpr std::string_view kWideSpaces[] = {"\u0085", "\u00A0", "\u1680", "\u2000", "\u2001",
                                            "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
                                            "\u2007", "\u2008", "\u2009", "\u200A", "\u2028",
                                            "\u2029", "\u202F", "\u205F", "\u3000"};

// Bytes of the white space that the text begins with, 0 when it begins with something else.
size_t space_at_start(std::string_view text) {
  if (text.empty()) return 0;
  if (static_cast<unsigned char>(text[0]) < 0x80) return is_ascii_space(text[0]) ? 1 : 0;
  const auto* const found = std::find_if(std::begin(kWideSpaces), std::end(kWideSpaces),
                                         [&](auto space) { return text.starts_with(space); });
  return found == std::end(kWideSpaces) ? 0 : found->size();
}

size_t space_at_end(std::string_view text) {
  if (text.empty()) return 0;
  if (static_cast<unsigned char>(text.back()) < 0x80) return is_ascii_space(text.back()) ? 1 : 0;
  const auto* const found = std::find_if(std::begin(kWideSpaces), std::end(kWideSpaces),
                                         [&](auto space) { return text.ends_with(space); });
  return found == std::end(kWideSpaces) ? 0 : found->size();
}

}  // namespace

std::string_view strip(std::string_view utf8) {
  while (const size_t length = space_at_start(utf8)) utf8.remove_prefix(length);
  while (const size_t length = space_at_end(utf8)) utf8.remove_suffix(length);
  return utf8;
}

bool has_white_space(std::string_view utf8) {
  for (; !utf8.empty(); utf8.remove_prefix(1)) {
    if (space_at_start(utf8) > 0) return true;
  }
  return false;
}

}  // namespace sdtune
