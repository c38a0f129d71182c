// Captions and prompts as tensors that a text encoder takes: rows of token ids, and the weights
// that are written into the texts.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>

#include "text/clip_tokenizer.h"

namespace sdtune {

// How texts become tokens.
struct TokenLayout {
  TextFamily family = TextFamily::kV1;
  int max_tokens = 75;  // of each text; 75, 150 or 225
  bool weighted = false;
};

struct TokenRows {
  at::Tensor ids;      // [B · n, 77] int64 on the CPU, n chunks of 75 tokens for each text
  at::Tensor weights;  // [B, 75 n + 2, 1] fp32 on the CPU, for the chunks' states as they are
                       // joined; undefined where all are 1
};

// UsageError for another max_tokens.
TokenRows token_rows(const ClipTokenizer& tokenizer, std::span<const std::string> texts,
                     const TokenLayout& layout);

}  // namespace sdtune
