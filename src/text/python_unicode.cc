#include "text/python_unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "text/unicode_14.h"

namespace sdtune {
namespace {

struct Utf8Lead {
  int length = 0;  // 0: no lead byte
  char32_t bits = 0;
  unsigned char second_min = 0x80;
  unsigned char second_max = 0xBF;
};

// Table 3-7 of the Unicode standard: what may follow each lead byte.
Utf8Lead utf8_lead(unsigned char byte) {
  if (byte < 0x80) return {1, byte};
  if (byte < 0xC2 || byte > 0xF4) return {};
  if (byte < 0xE0) return {2, static_cast<char32_t>(byte & 0x1F)};
  if (byte < 0xF0) {
    Utf8Lead lead{3, static_cast<char32_t>(byte & 0x0F)};
    if (byte == 0xE0) lead.second_min = 0xA0;
    if (byte == 0xED) lead.second_max = 0x9F;
    return lead;
  }
  Utf8Lead lead{4, static_cast<char32_t>(byte & 0x07)};
  if (byte == 0xF0) lead.second_min = 0x90;
  if (byte == 0xF4) lead.second_max = 0x8F;
  return lead;
}

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

// Unicode's Case_Ignorable, without category Cf (the tokenizer has removed it). The single
// characters are those whose word-break class is MidLetter, MidNumLet or Single_Quote.
bool is_case_ignorable(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return std::u32string_view(
                 U"'.:\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52"
                 U"\uFE55\uFF07\uFF0E\uFF1A")
                 .find(c) != std::u32string_view::npos;
  }
}

// Unicode's Cased, without what is case-ignorable too.
bool is_cased(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
      return true;
    default:
      return c == 0xAA || c == 0xBA || (c >= 0x2160 && c <= 0x217F) ||
             (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
             (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
  }
}

// Final_Sigma of the Unicode standard, section 3.13: a cased letter before, none after.
bool is_final_sigma(std::u32string_view text, size_t position) {
  size_t before = position;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  size_t after = position + 1;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  return after == text.size() || !is_cased(text[after]);
}

int combining_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

// utf8proc's own reordering takes quadratic time on a long run of marks; this does not.
void reorder_marks(std::vector<utf8proc_int32_t>& text) {
  for (auto begin = text.begin(); begin != text.end();) {
    if (combining_class(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end =
        std::find_if(begin, text.end(), [](auto c) { return combining_class(c) == 0; });
    std::stable_sort(begin, end,
                     [](auto a, auto b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
}

std::vector<utf8proc_int32_t> decompose(std::u32string_view text) {
  constexpr auto kDecompose = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
  constexpr int kLongestDecomposition = 8;
  std::vector<utf8proc_int32_t> result;
  result.reserve(text.size());
  for (const char32_t c : text) {
    utf8proc_int32_t parts[kLongestDecomposition];
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts,
                                               kLongestDecomposition, kDecompose, nullptr);
    result.insert(result.end(), parts, parts + count);
  }
  reorder_marks(result);
  return result;
}

// utf8proc takes U+11A7, the code point before the first trailing jamo, for a trailing jamo and
// loses it. It composes with nothing, so the text may be composed in parts that begin with it.
std::u32string compose(std::vector<utf8proc_int32_t>& text) {
  constexpr utf8proc_int32_t kBeforeTrailingJamo = 0x11A7;
  constexpr auto kCompose = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  std::u32string result;
  result.reserve(text.size());
  for (auto begin = text.begin(); begin != text.end();) {
    const auto end = std::find(begin + 1, text.end(), kBeforeTrailingJamo);
    const auto length = utf8proc_normalize_utf32(&*begin, end - begin, kCompose);
    result.append(begin, begin + length);
    begin = end;
  }
  return result;
}

}  // namespace

std::u32string decode_utf8(std::string_view bytes) {
  std::u32string text;
  text.reserve(bytes.size());
  for (size_t i = 0; i < bytes.size();) {
    Utf8Lead lead = utf8_lead(static_cast<unsigned char>(bytes[i++]));
    char32_t c = lead.bits;
    int taken = 1;
    for (; taken < lead.length && i < bytes.size(); ++taken, ++i) {
      const auto byte = static_cast<unsigned char>(bytes[i]);
      if (byte < lead.second_min || byte > lead.second_max) break;
      lead.second_min = 0x80;
      lead.second_max = 0xBF;
      c = c << 6 | (byte & 0x3F);
    }
    text += taken == lead.length ? c : kReplacementCharacter;
  }
  return text;
}

std::string encode_utf8(std::u32string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (const char32_t c : text) {
    utf8proc_uint8_t buffer[4];
    const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), buffer);
    bytes.append(reinterpret_cast<const char*>(buffer), static_cast<size_t>(length));
  }
  return bytes;
}

CharacterKind character_kind(char32_t c) {
  if (c == U'\t' || c == U'\n' || c == U'\r') return CharacterKind::kSpace;
  if (is_unassigned_in_unicode_14(c)) return CharacterKind::kOther;
  switch (*utf8proc_category_string(static_cast<utf8proc_int32_t>(c))) {
    case 'C':
      return CharacterKind::kOther;
    case 'Z':
      return CharacterKind::kSpace;
    case 'L':
      return CharacterKind::kLetter;
    case 'N':
      return CharacterKind::kNumber;
    default:
      return CharacterKind::kSymbol;
  }
}

bool is_punctuation(char32_t c) {
  return !is_unassigned_in_unicode_14(c) &&
         *utf8proc_category_string(static_cast<utf8proc_int32_t>(c)) == 'P';
}

std::u32string normalize_nfc(std::u32string_view text) {
  // Text wholly below U+0300 is in NFC already.
  if (std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0x300; })) {
    return std::u32string(text);
  }
  std::vector<utf8proc_int32_t> buffer = decompose(text);
  return compose(buffer);
}

std::u32string without_accents(std::u32string_view text) {
  std::u32string result;
  for (const utf8proc_int32_t c : decompose(text)) {
    const auto letter = static_cast<char32_t>(c);
    const bool is_accent =
        category(letter) == UTF8PROC_CATEGORY_MN && !is_unassigned_in_unicode_14(letter);
    if (!is_accent) result += letter;
  }
  return result;
}

std::u32string lower(std::u32string_view text) {
  std::u32string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c == U'\u0130') {
      result += U"i\u0307";
    } else if (c == U'\u03A3') {
      result += is_final_sigma(text, i) ? U'\u03C2' : U'\u03C3';
    } else {
      result += static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
    }
  }
  return result;
}

}  // namespace sdtune
