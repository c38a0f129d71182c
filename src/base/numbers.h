// Numbers as users write them in options: one, or a list. What is allowed of them, and the error
// for what is not, are the caller's.
#pragma once

#include <charconv>
#include <cmath>
#include <concepts>
#include <optional>
#include <string_view>
#include <vector>

namespace sdtune {

// The number that `text` is from its first character to its last, in C's notation without a leading
// "+"; nothing for anything else, and for what no T holds, infinity or not a number.
template <class T>
std::optional<T> number_in(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if constexpr (std::floating_point<T>) {
    if (!std::isfinite(number)) return std::nullopt;
  }
  return number;
}

// The words of a list with a comma or white space between, white space around commas not counting:
// "1, 2 3" has three. Two commas have an empty word between them, as has one at either end. Nothing
// but white space has no words.
std::vector<std::string_view> list_words(std::string_view text);

}  // namespace sdtune
