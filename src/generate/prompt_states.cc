#include "generate/prompt_states.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/log.h"
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
  std::vector<int64_t> ids;
  std::vector<float> weights;
  for (const std::string& prompt : prompts) {
    warn_if_cut(encoder, prompt, chunks * kChunkTokens);
    const WeightedTokens tokens = weighted_token_chunks(encoder.tokenizer, prompt, encoder.family,
                                                        static_cast<int>(chunks) * kChunkTokens);
    ids.insert(ids.end(), tokens.ids.begin(), tokens.ids.end());
    const std::vector<float> joined = joined_weights(tokens.weights);
    weights.insert(weights.end(), joined.begin(), joined.end());
  }
  const at::Device device = encoder.model.token_embedding.weight.device();
  const at::Tensor rows = at::tensor(ids, at::kLong).view({-1, kChunkLength}).to(device);
  const at::Tensor states = join_chunks(encoder.model.forward(rows, encoder.clip_skip), chunks);
  const bool plain = std::all_of(weights.begin(), weights.end(), [](float w) { return w == 1; });
  if (plain) return states;
  const auto count = static_cast<int64_t>(prompts.size());
  return weighed(states, at::tensor(weights, at::kFloat).view({count, -1, 1}).to(device),
                 encoder.normalize);
}

}  // namespace sdtune
