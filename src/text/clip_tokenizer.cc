#include "text/clip_tokenizer.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <string>

#include "text/python_unicode.h"

namespace sdtune {
namespace {

constexpr std::string_view kBosText = "<|startoftext|>";
constexpr std::string_view kEosText = "<|endoftext|>";

constexpr int kTableBits = 17;  // 131072 slots for 48894 merges

uint32_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint32_t>(left) << 16 | static_cast<uint32_t>(right);
}

size_t first_slot(uint32_t key) { return (key * 2654435769u) >> (32 - kTableBits); }

// BasicTokenizer's characters of "CJK Unified Ideographs" and "Compatibility Ideographs" blocks.
bool is_cjk_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B820 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

// Controls, unassigned characters and U+FFFD out; white space to U+0020; ideographs set apart by
// it.
std::u32string clean(std::u32string_view text) {
  std::u32string result;
  result.reserve(text.size());
  for (const char32_t c : text) {
    const CharacterKind kind = character_kind(c);
    if (kind == CharacterKind::kOther || c == kReplacementCharacter) continue;
    if (kind == CharacterKind::kSpace) {
      result += U' ';
    } else if (is_cjk_ideograph(c)) {
      result += {U' ', c, U' '};
    } else {
      result += c;
    }
  }
  return result;
}

// The reference matches without regard to case, and there a long s (U+017F) equals an s.
bool starts_with(std::u32string_view word, std::string_view literal) {
  if (word.size() < literal.size()) return false;
  return std::equal(literal.begin(), literal.end(), word.begin(), [](char expected, char32_t c) {
    return c == static_cast<char32_t>(expected) || (expected == 's' && c == U'\u017F');
  });
}

constexpr std::string_view kLiterals[] = {kBosText, kEosText, "'s",  "'t", "'re",
                                          "'ve",    "'m",     "'ll", "'d"};

// Length of the special token or contraction that the word begins with, else 0.
size_t literal_length(std::u32string_view word) {
  if (word[0] != U'<' && word[0] != U'\'') return 0;
  for (const std::string_view literal : kLiterals) {
    if (starts_with(word, literal)) return literal.size();
  }
  return 0;
}

// U+0345 folds to a letter without being one; the reference's case-blind pattern then matches it
// neither as a letter nor as anything else.
constexpr char32_t kYpogegrammeni = 0x345;

// Length of the first piece by the reference's pattern: a literal, letters, one number, or other
// characters. 0: the first character belongs to no piece.
size_t piece_length(std::u32string_view word) {
  if (word[0] == kYpogegrammeni) return 0;
  if (const size_t length = literal_length(word)) return length;
  const CharacterKind kind = character_kind(word[0]);
  if (kind == CharacterKind::kNumber) return 1;
  size_t length = 1;
  while (length < word.size() && word[length] != kYpogegrammeni &&
         character_kind(word[length]) == kind) {
    ++length;
  }
  return length;
}

struct SpecialToken {
  std::string_view text;
  int32_t id;
};

struct SpecialMatch {
  size_t position = std::string_view::npos;
  SpecialToken token;
};

// The first special token in `text`; no two of them can overlap.
SpecialMatch find_special(std::string_view text, TextFamily family) {
  const char* first_characters = family == TextFamily::kV2 ? "<!" : "<";
  for (size_t i = text.find_first_of(first_characters); i != std::string_view::npos;
       i = text.find_first_of(first_characters, i + 1)) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with(kBosText)) return {i, {kBosText, kBos}};
    if (rest.starts_with(kEosText)) return {i, {kEosText, kEos}};
    if (rest[0] == '!') return {i, {"!", pad_id(TextFamily::kV2)}};
  }
  return {};
}

}  // namespace

int pad_id(TextFamily family) { return family == TextFamily::kV1 ? kEos : 0; }

ClipTokenizer::ClipTokenizer() : merges_(size_t{1} << kTableBits) {
  for (int i = 0; i < kClipMergeCount; ++i) {
    const uint32_t key = pair_key(kClipMerges[i].left, kClipMerges[i].right);
    size_t slot = first_slot(key);
    while (merges_[slot].pair != kEmpty) slot = (slot + 1) % merges_.size();
    merges_[slot] = {key, static_cast<uint16_t>(kFirstMergeId + i)};
  }
}

// The id that two neighbours merge into, or -1.
int32_t ClipTokenizer::merged(int32_t left, int32_t right) const {
  const uint32_t key = pair_key(left, right);
  for (size_t slot = first_slot(key);; slot = (slot + 1) % merges_.size()) {
    if (merges_[slot].pair == key) return merges_[slot].merged;
    if (merges_[slot].pair == kEmpty) return -1;
  }
}

std::vector<int32_t> ClipTokenizer::encode(std::string_view utf8, TextFamily family) const {
  std::vector<int32_t> ids;
  while (true) {
    const SpecialMatch match = find_special(utf8, family);
    append_plain_text(utf8.substr(0, match.position), ids);
    if (match.position == std::string_view::npos) return ids;
    ids.push_back(match.token.id);
    utf8.remove_prefix(match.position + match.token.text.size());
  }
}

void ClipTokenizer::append_plain_text(std::string_view utf8, std::vector<int32_t>& ids) const {
  const std::u32string text = normalize_nfc(clean(decode_utf8(utf8)));
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(U' ', begin), text.size());
    append_word(lower(std::u32string_view(text).substr(begin, end - begin)), ids);
    begin = end + 1;
  }
}

void ClipTokenizer::append_word(std::u32string_view word, std::vector<int32_t>& ids) const {
  while (!word.empty()) {
    const size_t length = piece_length(word);
    const std::string piece = encode_utf8(word.substr(0, length));
    if (piece == kBosText) {
      ids.push_back(kBos);
    } else if (piece == kEosText) {
      ids.push_back(kEos);
    } else if (length > 0) {
      append_piece(piece, ids);
    }
    word.remove_prefix(std::max<size_t>(length, 1));
  }
}

// Byte-pair encoding: the lowest merge first, of equal ones the leftmost. A merge never makes a
// lower one possible than itself, so a queue gives the same result as the reference's pass for each
// merge.
void ClipTokenizer::append_piece(std::string_view bytes, std::vector<int32_t>& ids) const {
  struct Symbol {
    int32_t id;  // -1: merged into its left neighbour
    uint32_t previous;
    uint32_t next;
  };
  constexpr int32_t kGone = -1;
  const auto count = static_cast<uint32_t>(bytes.size());
  std::vector<Symbol> symbols(count);
  for (uint32_t i = 0; i < count; ++i) {
    symbols[i] = {kClipAlphabet.id_of_byte[static_cast<unsigned char>(bytes[i])], i - 1, i + 1};
  }
  symbols.back().id += kEndOfWordOffset;

  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> queue;
  const auto merge_at = [&](uint32_t i) {
    const bool has_next = symbols[i].id != kGone && symbols[i].next < count;
    return has_next ? merged(symbols[i].id, symbols[symbols[i].next].id) : -1;
  };
  const auto push = [&](uint32_t i) {
    const int32_t id = merge_at(i);
    if (id >= 0) queue.push(static_cast<uint64_t>(id) << 32 | i);
  };
  for (uint32_t i = 0; i < count; ++i) push(i);
  while (!queue.empty()) {
    const auto id = static_cast<int32_t>(queue.top() >> 32);
    const auto i = static_cast<uint32_t>(queue.top());
    queue.pop();
    if (merge_at(i) != id) continue;  // a neighbour has changed since
    Symbol& right = symbols[symbols[i].next];
    symbols[i].id = id;
    symbols[i].next = right.next;
    right.id = kGone;
    if (symbols[i].next < count) symbols[symbols[i].next].previous = i;
    push(i);
    if (i > 0) push(symbols[i].previous);
  }
  for (uint32_t i = 0; i < count; i = symbols[i].next) ids.push_back(symbols[i].id);
}

}  // namespace sdtune
