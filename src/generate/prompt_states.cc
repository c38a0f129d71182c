#include "generate/prompt_states.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/log.h"
#include "generate/token_rows.h"
#include "text/prompt_weights.h"
#include "text/token_chunks.h"

namespace sdtune {

namespace {

at::Tensor mean_of(const at::Tensor& states, EmbNormalize normalize) {
  return (normalize == EmbNormalize::kAbs ? states.abs() : states).mean({1, 2}, /*keepdim=*/true);
}

at::Tensor weighed(const at::Tensor& states, const at::Tensor& weights, EmbNormalize normalize) {
  const at::Tensor result = states * weights;
  if (normalize == EmbNormalize::kNone) return result;
  return result * (mean_of(states, normalize) / mean_of(result, normalize));
}

int64_t tokens_of(const PromptEncoder& encoder, const std::string& prompt) {
  int64_t tokens = 0;
  for (const WeightedText& piece : parse_prompt_weights(prompt)) {
    tokens += count_tokens(encoder.tokenizer, piece.text, encoder.family);
  }
  return tokens;
}

void warn_if_cut(const PromptEncoder& encoder, const std::string& prompt, int64_t most) {
  const int64_t tokens = tokens_of(encoder, prompt);
  if (tokens > most) log_warning("of {} tokens {} count: {}", tokens, most, prompt);
}

}  // namespace

int64_t chunks_of(const PromptEncoder& encoder, const std::string& prompt) {
  const int64_t chunks = (tokens_of(encoder, prompt) + kChunkTokens - 1) / kChunkTokens;
  return std::clamp<int64_t>(chunks, 1, encoder.most_chunks);
}

at::Tensor prompt_states(const PromptEncoder& encoder, std::span<const std::string> prompts,
                         int64_t chunks) {
  const int max_tokens = static_cast<int>(chunks) * kChunkTokens;
  for (const std::string& prompt : prompts) warn_if_cut(encoder, prompt, max_tokens);
  const TokenRows rows =
      token_rows(encoder.tokenizer, prompts, {encoder.family, max_tokens, /*weighted=*/true});
  const at::Device device = encoder.model.token_embedding.weight.device();
  const at::Tensor states =
      join_chunks(encoder.model.forward(rows.ids.to(device), encoder.clip_skip), chunks);
  if (!rows.weights.defined()) return states;
  return weighed(states, rows.weights.to(device), encoder.normalize);
}

}  // namespace sdtune
