// CLIP's vocabulary of 49408 tokens: which two tokens merge into which, and every token's text. The
// merges are embedded when the program is built. Cutting text into tokens stands in
// clip_tokenizer.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/clip_alphabet.h"

namespace sdtune {

struct ClipMerge {
  uint16_t left;
  uint16_t right;
};

// Merge i makes token kFirstMergeId + i; a lower i is applied first. Both parts are older tokens.
extern const ClipMerge kClipMerges[kClipMergeCount];

inline constexpr int kBos = 49406;
inline constexpr int kEos = 49407;
inline constexpr int kClipVocabularySize = 49408;

// Every token as Transformers writes it: bytes as characters, "</w>" where a word ends.
std::vector<std::string> clip_token_texts();

// The two files of a Diffusers folder's tokenizer/, as Transformers reads them: vocab.json, one
// object of token to id, and merges.txt, a title line and the merges in order.
std::string vocab_json();
std::string merges_text();

}  // namespace sdtune
