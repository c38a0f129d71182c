// Captions as the text encoder takes them: rows of 77 ids with <|startoftext|>, <|endoftext|> and
// padding. Long captions are cut at fixed places, never at commas, as sd-scripts does.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/clip_tokenizer.h"

namespace sdtune {

inline constexpr int kChunkLength = 77;
inline constexpr int kChunkTokens = 75;

// [max_token_length / 75, 77] ids, row after row. `max_token_length` is 75, 150 or 225, else
// UsageError; further tokens are cut off. Rows after the caption's end are <|startoftext|>,
// <|endoftext|>, padding.
std::vector<int64_t> token_chunks(const ClipTokenizer& tokenizer, std::string_view caption,
                                  TextFamily family, int max_token_length);

// The same rows from a caption's ids, without <|startoftext|> and <|endoftext|>.
std::vector<int64_t> token_chunks(const std::vector<int32_t>& caption_ids, TextFamily family,
                                  int max_token_length);

// How many tokens the caption has, without <|startoftext|>, <|endoftext|> and cutting off.
int64_t count_tokens(const ClipTokenizer& tokenizer, std::string_view caption,
                     TextFamily family = TextFamily::kV1);

}  // namespace sdtune
