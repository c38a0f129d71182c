#include "generate/token_rows.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "text/prompt_weights.h"
#include "text/token_chunks.h"

namespace sdtune {

TokenRows token_rows(const ClipTokenizer& tokenizer, std::span<const std::string> texts,
                     const TokenLayout& layout) {
  std::vector<int64_t> ids;
  std::vector<float> weights;
  for (const std::string& text : texts) {
    if (!layout.weighted) {
      const auto rows = token_chunks(tokenizer, text, layout.family, layout.max_tokens);
      ids.insert(ids.end(), rows.begin(), rows.end());
      continue;
    }
    const WeightedTokens tokens =
        weighted_token_chunks(tokenizer, text, layout.family, layout.max_tokens);
    ids.insert(ids.end(), tokens.ids.begin(), tokens.ids.end());
    const std::vector<float> joined = joined_weights(tokens.weights);
    weights.insert(weights.end(), joined.begin(), joined.end());
  }
  TokenRows rows{at::tensor(ids, at::kLong).view({-1, kChunkLength}), {}};
  if (!std::ranges::all_of(weights, [](float weight) { return weight == 1; })) {
    rows.weights = at::tensor(weights, at::kFloat).view({std::ssize(texts), -1, 1});
  }
  return rows;
}

}  // namespace sdtune
