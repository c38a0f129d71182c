#include "train/text_states.h"

#include <ATen/ATen.h>

#include "generate/prompt_states.h"
#include "text/prompt_weights.h"
#include "text/token_chunks.h"
#include "train/trainee.h"

namespace sdtune {

namespace {

struct Tokens {
  at::Tensor ids;      // [B * n, 77]
  at::Tensor weights;  // [B, 75n + 2, 1], or undefined
};

Tokens tokens_of(const Trainee& trainee, std::span<const std::string> captions) {
  std::vector<int64_t> ids;
  std::vector<float> weights;
  for (const std::string& caption : captions) {
    if (trainee.weighted_captions) {
      const WeightedTokens tokens =
          weighted_token_chunks(trainee.tokenizer, caption, text_family(trainee.source->family),
                                trainee.max_token_length);
      ids.insert(ids.end(), tokens.ids.begin(), tokens.ids.end());
      const std::vector<float> joined = joined_weights(tokens.weights);
      weights.insert(weights.end(), joined.begin(), joined.end());
    } else {
      const auto rows = token_chunks(trainee.tokenizer, caption,
                                     text_family(trainee.source->family), trainee.max_token_length);
      ids.insert(ids.end(), rows.begin(), rows.end());
    }
  }
  Tokens tokens{at::tensor(ids, at::kLong).view({-1, kChunkLength}), {}};
  if (trainee.weighted_captions) {
    tokens.weights =
        at::tensor(weights, at::kFloat).view({static_cast<int64_t>(captions.size()), -1, 1});
  }
  return tokens;
}

// States [B, 75n + 2, C] fp32 on the device.
at::Tensor states_of(const Trainee& trainee, std::span<const std::string> captions) {
  const at::AutoGradMode gradients(trainee.text_encoder_learns);
  const Tokens tokens = tokens_of(trainee, captions);
  const at::Tensor states =
      join_chunks(trainee.text_encoder.forward(tokens.ids.to(trainee.device), trainee.clip_skip),
                  trainee.max_token_length / kChunkTokens);
  return tokens.weights.defined() ? states * tokens.weights.to(trainee.device) : states;
}

}  // namespace

at::Tensor TextStates::token_ids(const Trainee& trainee, const std::vector<std::string>& captions) {
  return tokens_of(trainee, captions).ids;
}

at::Tensor TextStates::encode(const Trainee& trainee, const std::vector<std::string>& captions) {
  if (!keep_) return states_of(trainee, captions);
  std::vector<at::Tensor> all;
  for (const std::string& caption : captions) {
    const auto found = kept_.find(caption);
    if (found != kept_.end()) {
      all.push_back(found->second);
      continue;
    }
    at::Tensor states = states_of(trainee, {&caption, 1}).to(at::kCPU);
    const auto size = static_cast<int64_t>(states.nbytes());
    if (bytes_ + size <= limit_) {
      kept_.emplace(caption, states);
      bytes_ += size;
    }
    all.push_back(std::move(states));
  }
  return at::cat(all).to(trainee.device);
}

}  // namespace sdtune
