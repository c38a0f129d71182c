// AdamW (Loshchilov & Hutter 2019) and Adam (Kingma & Ba 2015) on the CPU, over many tensors in one
// pass. Beside torch's fused kernel, which takes tensor by tensor, it scales the gradients on the
// way. CUDA's is adamw_device.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "kernels/adamw_update.h"

namespace sdtune {

// All fp32 on the CPU, dense, of one shape and one layout.
struct AdamWTensors {
  at::Tensor weight;
  at::Tensor gradient;
  at::Tensor exp_avg;
  at::Tensor exp_avg_sq;
  at::Tensor max_exp_avg_sq;  // defined with amsgrad: the largest second moment so far
  int64_t time = 1;           // of this update, from 1: for the correction of moments that were 0
};

// One step: weights and moments change in place, gradients do not. The same bits for any number of
// threads. Torch's error where tensors do not fit.
void update_adamw(std::span<const AdamWTensors> tensors, const AdamWRule& rule);

}  // namespace sdtune
