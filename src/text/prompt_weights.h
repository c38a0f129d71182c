// Attention weights written into captions, "(a:1.2) [b]", as the option weighted_captions reads
// them: text cut into pieces of one weight, and ids with a weight for each position. Multiplying
// the text encoder's output by them is the caller's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/clip_tokenizer.h"

namespace sdtune {

// Weights are held within these: what a caption asks for beyond them, zero and below among it,
// would lose the words' hidden states or the run.
inline constexpr float kLeastPromptWeight = 0.001F;
inline constexpr float kGreatestPromptWeight = 1000.0F;

struct WeightedText {
  std::string text;
  float weight = 1;

  bool operator==(const WeightedText&) const = default;
};

// "(x)" weighs 1.1, "(x:1.3)" 1.3, "[x]" 1/1.1; brackets multiply. A bracket that is never closed
// counts to the end; a closing one without an opening one, and a ":" without a number and ")", are
// text. A backslash takes the meaning from a bracket or backslash after it and vanishes before
// anything else. Neighbours have different weights; an empty text gives {"", 1}. Takes any bytes,
// in time linear in their number.
std::vector<WeightedText> parse_prompt_weights(std::string_view text);

struct WeightedTokens {
  std::vector<int64_t> ids;    // [max_token_length / 75, 77], as token_chunks() lays them out
  std::vector<float> weights;  // of the same shape; 1 for what is not the caption's
};

// Each piece is tokenized alone, so "re(d)" makes other tokens than "red" does; text without
// brackets and backslashes has token_chunks()' ids. UsageError for the same lengths.
WeightedTokens weighted_token_chunks(const ClipTokenizer& tokenizer, std::string_view caption,
                                     TextFamily family, int max_token_length);

// Weights for the hidden states of n rows of 77 as they are joined to 75 n + 2: the first,
// positions 1 to 75 of each row, the last. Error when `weights` are no rows of 77.
std::vector<float> joined_weights(const std::vector<float>& weights);

}  // namespace sdtune
