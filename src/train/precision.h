// What the precision options mean on a device: the types of weights and arithmetic, and whether the
// loss is scaled.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "train/precision_options.h"

namespace sdtune {

struct Precision {
  at::ScalarType compute = at::kFloat;
  at::ScalarType weights = at::kFloat;  // of what is trained, and of its gradients
  at::ScalarType vae = at::kFloat;
  bool scale_loss = false;  // gradients of fp16 would vanish
};

// Whether the device has instructions for bf16: of GPUs those since Ampere. On CUDA after
// load_cuda().
bool computes_bf16(at::Device device);

// On a CPU fp16 computes in fp32, and so does bf16 where computes_bf16() is false; one warning says
// so. Weights have the type asked for all the same. On a GPU where it is false, whose convolutions
// and attention have no fast kernels for bf16, it is a UsageError at `bf16_option`, as accelerate
// refuses it too.
Precision choose_precision(const PrecisionOptions& options, at::Device device, bool computes_bf16,
                           const std::string& bf16_option = "--mixed_precision=bf16");

}  // namespace sdtune
