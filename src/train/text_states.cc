#include "train/text_states.h"

#include <ATen/ATen.h>

#include "generate/prompt_states.h"
#include "generate/token_rows.h"
#include "text/token_chunks.h"
#include "train/trainee.h"

namespace sdtune {

namespace {

TokenRows rows_of(const Trainee& trainee, std::span<const std::string> captions) {
  return token_rows(
      trainee.tokenizer, captions,
      {text_family(trainee.source->family), trainee.max_token_length, trainee.weighted_captions});
}

// States [B, 75n + 2, C] fp32 on the device.
at::Tensor states_of(const Trainee& trainee, std::span<const std::string> captions) {
  // A validation's are not recorded.
  const at::AutoGradMode gradients(trainee.text_encoder_learns && at::GradMode::is_enabled());
  const TokenRows rows = rows_of(trainee, captions);
  const auto there = [&](const at::Tensor& x) {
    return x.to(trainee.device, /*non_blocking=*/true);
  };
  const at::Tensor states =
      join_chunks(trainee.text_encoder.forward(there(rows.ids), trainee.clip_skip),
                  trainee.max_token_length / kChunkTokens);
  return rows.weights.defined() ? states * there(rows.weights) : states;
}

}  // namespace

at::Tensor TextStates::token_ids(const Trainee& trainee, const std::vector<std::string>& captions) {
  return rows_of(trainee, captions).ids;
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
  return at::cat(all).to(trainee.device, /*non_blocking=*/true);
}

}  // namespace sdtune
