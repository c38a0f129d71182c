// The CLIP tokenizer: a caption to token ids, equal id for id to Transformers' CLIPTokenizer
// without ftfy (docs/decisions/0003-tokenizer-reference.md). Rows of 77 ids are made in
// token_chunks.h.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/clip_vocabulary.h"

namespace sdtune {

// Which tokenizer a model was published with. They differ in the padding token alone: <|endoftext|>
// in Stable Diffusion 1.x, "!" in 2.x.
enum class TextFamily { kV1, kV2 };

// Id of the padding token.
int pad_id(TextFamily family);

// encode() may be called from several threads at once.
class ClipTokenizer {
 public:
  ClipTokenizer();

  // Ids without <|startoftext|>, <|endoftext|> and truncation. Takes any bytes: what is not UTF-8
  // is left out, as the reference leaves out U+FFFD. The special tokens written in the text count
  // as themselves; with kV2 that holds for each "!" too (id 0), since there it is a special token.
  // Time is O(n log n) in the length of the text.
  std::vector<int32_t> encode(std::string_view utf8, TextFamily family = TextFamily::kV1) const;

 private:
  struct Slot {
    uint32_t pair = kEmpty;
    uint16_t merged = 0;
  };
  static constexpr uint32_t kEmpty = 0xFFFFFFFF;  // no pair: ids stay below 49408

  int32_t merged(int32_t left, int32_t right) const;
  void append_plain_text(std::string_view utf8, std::vector<int32_t>& ids) const;
  void append_word(std::u32string_view word, std::vector<int32_t>& ids) const;
  void append_piece(std::string_view bytes, std::vector<int32_t>& ids) const;

  std::vector<Slot> merges_;  // hash table with linear probing, from pair of ids to id
};

}  // namespace sdtune
