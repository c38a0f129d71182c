#include "text/word_piece.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "text/python_unicode.h"
#include "text/white_space.h"

namespace sdtune {
namespace {

constexpr std::string_view kInsideWord = "##";
constexpr size_t kLongestWord = 100;  // characters; a longer one is [UNK]

bool stands_alone(char32_t c) {  // as punctuation does
  const bool is_ascii_symbol = c > U' ' && c < U'\x7F' && !(c >= U'0' && c <= U'9') &&
                               !(c >= U'A' && c <= U'Z') && !(c >= U'a' && c <= U'z');
  return is_ascii_symbol || is_punctuation(c);
}

bool is_ideograph(char32_t c) {
  constexpr std::pair<char32_t, char32_t> kBlocks[] = {
      {0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
      {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
  return std::any_of(std::begin(kBlocks), std::end(kBlocks),
                     [c](auto block) { return c >= block.first && c <= block.second; });
}

// Each by itself: the reference has lowered the letters one by one when it comes to words, so that
// no sigma is a final one.
std::u32string with_lowered_letters(std::u32string_view text) {
  std::u32string result;
  for (const char32_t c : text) result += lower({&c, 1});
  return result;
}

// Without control characters, with plain spaces, and with spaces around ideographs.
std::u32string cleaned(std::u32string_view dirty) {
  std::u32string text;
  for (const char32_t c : dirty) {
    const CharacterKind kind = character_kind(c);
    if (c == kReplacementCharacter || kind == CharacterKind::kOther) continue;
    if (kind == CharacterKind::kSpace) {
      text += U' ';
    } else if (is_ideograph(c)) {
      text += {U' ', c, U' '};
    } else {
      text += c;
    }
  }
  return normalize_nfc(text);
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

std::string tidied(std::string text) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
      {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) replace_all(text, from, to);
  return text;
}

}  // namespace

WordPieceTokenizer::WordPieceTokenizer(WordPieces words) : words_(std::move(words)) {
  for (size_t i = 0; i < words_.pieces.size(); ++i) {
    if (!words_.pieces[i].empty()) ids_[words_.pieces[i]] = static_cast<int64_t>(i);
  }
  special_.insert(words_.special.begin(), words_.special.end());
  const auto unknown = ids_.find("[UNK]");
  if (unknown == ids_.end()) throw Error("the vocabulary has no \"[UNK]\"");
  unknown_ = unknown->second;
}

std::vector<int64_t> WordPieceTokenizer::encode(std::string_view utf8) const {
  std::u32string text = decode_utf8(utf8);
  text = words_.lower_case ? without_accents(cleaned(with_lowered_letters(text))) : cleaned(text);
  std::vector<int64_t> ids;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin + 1;
    if (text[begin] == U' ') {
      begin = end;
      continue;
    }
    while (!stands_alone(text[begin]) && end < text.size() && text[end] != U' ' &&
           !stands_alone(text[end])) {
      ++end;
    }
    append_word(std::u32string_view(text).substr(begin, end - begin), ids);
    begin = end;
  }
  return ids;
}

void WordPieceTokenizer::append_word(std::u32string_view word, std::vector<int64_t>& ids) const {
  const size_t before = ids.size();
  size_t begin = 0;
  while (begin < word.size() && word.size() <= kLongestWord) {
    size_t end = word.size();
    auto found = ids_.end();
    for (; end > begin; --end) {
      const std::string piece = encode_utf8(word.substr(begin, end - begin));
      found = ids_.find(begin > 0 ? std::string(kInsideWord) + piece : piece);
      if (found != ids_.end()) break;
    }
    if (found == ids_.end()) break;
    ids.push_back(found->second);
    begin = end;
  }
  if (begin < word.size()) {
    ids.resize(before);
    ids.push_back(unknown_);
  }
}

const std::string* WordPieceTokenizer::piece_of(int64_t id) const {
  if (id < 0 || id >= static_cast<int64_t>(words_.pieces.size()) || special_.contains(id)) {
    return nullptr;
  }
  const std::string& piece = words_.pieces[static_cast<size_t>(id)];
  return piece.empty() ? nullptr : &piece;
}

std::string WordPieceTokenizer::decode(std::span<const int64_t> ids) const {
  std::string text;
  bool is_first = true;
  for (const int64_t id : ids) {
    const std::string* piece = piece_of(id);
    if (!piece) continue;
    const bool goes_on = !is_first && piece->starts_with(kInsideWord);
    const std::string added =
        is_first ? *piece : (goes_on ? piece->substr(kInsideWord.size()) : " " + *piece);
    text += words_.tidy_pieces ? tidied(added) : added;
    is_first = false;
  }
  if (words_.tidy_text) text = tidied(text);
  return std::string(strip(text));
}

}  // namespace sdtune
