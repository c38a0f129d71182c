// AdamW (Loshchilov & Hutter 2019) and Adam (Kingma & Ba 2015) on the CPU, over many tensors in one
// pass. Beside torch's fused kernel, which takes tensor by tensor, it scales the gradients on the
// way. CUDA's is adamw_device.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace sdtune {

struct AdamWRule {
  double rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
  bool decoupled = true;      // off is Adam, whose weight decay is part of the gradient
  double gradient_scale = 1;  // a gradient counts as this times what it is
};

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
