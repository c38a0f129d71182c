// Forward and backward pass of one batch: what is on the device to losses, and to gradients that
// are added to those of the parameters. Where the run has graphs they repeat it.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "train/trainee.h"

namespace sdtune {

// All on the device.
struct PassInputs {
  DiffusedBatch diffused;
  at::Tensor context;              // [B, T, D]
  at::Tensor picture_weights;      // [B] fp32
  at::Tensor batches;              // [] fp32: how many share the step
  std::optional<at::Tensor> mask;  // [B, 1, h, w]
};

struct PassResult {
  at::Tensor loss;        // [] fp32: mean over the pictures, each by what it counts, over `batches`
  at::Tensor losses;      // [B] fp32: of each picture, before weights of timesteps and pictures
  at::Tensor prediction;  // [B, 4, h, w] fp32, detached; undefined where it is not asked for
};

// wants_prediction: for a trace; no graph runs then.
PassResult run_pass(Trainee& trainee, const PassInputs& inputs, bool wants_prediction);

}  // namespace sdtune
