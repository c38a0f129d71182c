// PyTorch's .ckpt/.pt/.bin files, zip form (torch 1.6 and later) and legacy form, read as data: no
// name in the pickle is ever resolved to code. Written in zip form, as
// torch.load(weights_only=True) reads it.
#pragma once

#include "formats/weights.h"

namespace sdtune {

// Tensors of a plain state dict, or of its "state_dict" entry. Other entries that are text or
// numbers become metadata; opaque values are skipped and reported.
std::unique_ptr<WeightFile> open_torch_checkpoint(const std::filesystem::path& path);

struct CheckpointExtras {
  bool wrap_state_dict =
      true;  // {"state_dict": {…}, "epoch": …, "global_step": …}; else the plain dict
  int64_t epoch = 0;
  int64_t global_step = 0;
};

void write_torch_checkpoint(const std::filesystem::path& path,
                            const std::vector<TensorToWrite>& tensors,
                            const CheckpointExtras& extras = {});

}  // namespace sdtune
