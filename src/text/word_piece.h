// BERT's uncased tokenizer, which captioners read and write with: words cut into the longest pieces
// that a vocabulary has, "##" before those that go on with a word. Equal id for id to Transformers'
// BertTokenizer, but that special tokens written in a text are plain text here. The vocabulary
// comes with a model (word_piece_files.h). Schuster and Nakajima, "Japanese and Korean voice
// search", 2012; Devlin et al., "BERT", 2019.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace sdtune {

struct WordPieces {
  std::vector<std::string> pieces;  // by id; "" for an id that has none
  std::vector<int64_t> special;     // ids that no text is made from
  bool lower_case = true;           // and accents taken off
  // Which spaces before punctuation are closed up when ids become text: each piece's, as the
  // decoder in a tokenizer.json does, or the whole text's, as clean_up_tokenization_spaces does.
  bool tidy_pieces = false;
  bool tidy_text = false;
};

class WordPieceTokenizer {
 public:
  // Error when the vocabulary lacks "[UNK]".
  explicit WordPieceTokenizer(WordPieces words);

  // Ids without [CLS] and [SEP]. Takes any bytes; what is not UTF-8 is left out.
  std::vector<int64_t> encode(std::string_view utf8) const;
  // Special ids, and those that the vocabulary does not have, are left out.
  std::string decode(std::span<const int64_t> ids) const;

 private:
  void append_word(std::u32string_view word, std::vector<int64_t>& ids) const;
  const std::string* piece_of(int64_t id) const;  // null for an id that stands for no text

  WordPieces words_;
  std::unordered_map<std::string, int64_t> ids_;
  std::unordered_set<int64_t> special_;
  int64_t unknown_ = 0;
};

}  // namespace sdtune
