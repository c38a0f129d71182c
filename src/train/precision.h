// What the precision options mean on a device: the types of weights and arithmetic, and whether the
// loss is scaled.
#pragma once

#include <ATen/core/Tensor.h>

#include "train/precision_options.h"

namespace sdtune {

struct Precision {
  at::ScalarType compute = at::kFloat;
  at::ScalarType weights = at::kFloat;  // of what is trained, and of its gradients
  at::ScalarType vae = at::kFloat;
  bool scale_loss = false;  // gradients of fp16 would vanish
};

// On a CPU fp16 computes in fp32, and so does bf16 where the processor has no instructions for it;
// one warning says so. Weights have the type asked for all the same.
Precision choose_precision(const PrecisionOptions& options, at::Device device);

}  // namespace sdtune
