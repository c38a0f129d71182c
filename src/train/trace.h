// --trace_dir: what the first steps compute from and what comes out, as step-000001.safetensors, so
// that anyone can replay a step in Python and compare. Keys: latents, noise, timesteps,
// noisy_latents, input_ids, encoder_hidden_states, model_pred, target, loss, grad_norm, lr, and
// loss_mask where the loss is masked. With gradient accumulation the batches after the first add
// ".1", ".2", … to theirs.
#pragma once

#include <filesystem>

#include "models/parameters.h"

namespace sdtune {

class Trace {
 public:
  // Inactive without a folder, and after `steps` optimizer steps.
  Trace(std::optional<std::filesystem::path> folder, int64_t steps);

  bool active(int64_t step) const { return folder_ && step < steps_; }
  // Keeps a tensor of batch `batch` of the step under way.
  void keep(const char* key, int64_t batch, const at::Tensor& tensor);
  // Writes what was kept as the step with this number, counted from 1.
  void write(int64_t step);

 private:
  std::optional<std::filesystem::path> folder_;
  int64_t steps_;
  NamedTensors kept_;
};

}  // namespace sdtune
