// Prompts as the U-Net sees them: tokenized with the weights written into them, encoded, weighed.
// Long prompts are laid out as captions are in training, 75 n + 2 rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>

#include "models/clip_text.h"
#include "models/ldm_names.h"
#include "text/clip_tokenizer.h"

namespace sdtune {

// What is done about weights that move the mean of a prompt's states: scaled so that it stays, so
// that the mean of the magnitudes stays, or nothing (sd-scripts' --emb_normalize_mode).
enum class EmbNormalize { kOriginal, kAbs, kNone };

// Whose padding and end marks a model's tokens have.
inline TextFamily text_family(ModelFamily family) {
  return family == ModelFamily::kV2 ? TextFamily::kV2 : TextFamily::kV1;
}

struct PromptEncoder {
  const ClipTextModel& model;
  const ClipTokenizer& tokenizer;
  TextFamily family = TextFamily::kV1;
  int64_t clip_skip = 0;
  EmbNormalize normalize = EmbNormalize::kOriginal;
  int64_t most_chunks = 1;  // of 75 tokens; 1 to 3
};

// How many chunks of 75 tokens the prompt takes: at least 1, at most most_chunks, beyond which it
// is cut.
int64_t chunks_of(const PromptEncoder& encoder, const std::string& prompt);

// States [B, 75 chunks + 2, C] fp32 on the model's device. Prompts that are longer are cut, with a
// warning.
at::Tensor prompt_states(const PromptEncoder& encoder, std::span<const std::string> prompts,
                         int64_t chunks);

}  // namespace sdtune
