// Unicode text as Python 3.11 treats it (character data of Unicode 14), which is what the
// tokenizers that this program must agree with see. A newer utf8proc changes nothing: characters
// younger than Unicode 14 count as unassigned. Not a general Unicode library.
#pragma once

#include <string>
#include <string_view>

namespace sdtune {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

// Each ill-formed sequence becomes U+FFFD, one for each maximal part, as bytes.decode("utf-8",
// "replace") does. Surrogates and overlong forms are ill-formed.
std::u32string decode_utf8(std::string_view bytes);
std::string encode_utf8(std::u32string_view text);

enum class CharacterKind {
  kOther,   // control, format, private use, unassigned: categories C*
  kSpace,   // Z*, and tab, line feed, carriage return
  kLetter,  // L*
  kNumber,  // N*
  kSymbol,  // the rest: punctuation, symbols, marks
};
CharacterKind character_kind(char32_t c);

// Categories P*.
bool is_punctuation(char32_t c);

// unicodedata.normalize("NFC", text), in O(n log n) however many marks follow a letter.
std::u32string normalize_nfc(std::u32string_view text);

// unicodedata.normalize("NFD", text) without the marks of category Mn.
std::u32string without_accents(std::u32string_view text);

// str.lower(): full mapping of U+0130, and U+03C2 for a capital sigma that ends a word.
std::u32string lower(std::u32string_view text);

}  // namespace sdtune
