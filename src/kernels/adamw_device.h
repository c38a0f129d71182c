// AdamW and Adam (see adamw.h) on CUDA, for many tensors in few launches and without waiting for
// the device: what scales the gradients, and whether they are finite at all, is read there.
#pragma once

#include <vector>

#include "kernels/adamw.h"

namespace sdtune {

// As many of each, in one order, on one device. fp32, dense; what belongs together has one shape
// and one layout.
struct AdamWLists {
  std::vector<at::Tensor> weights;
  std::vector<at::Tensor> gradients;
  std::vector<at::Tensor> exp_avg;
  std::vector<at::Tensor> exp_avg_sq;
  std::vector<at::Tensor> max_exp_avg_sq;  // none without amsgrad
  std::vector<at::Tensor> times;           // [] fp32: updates made before; each becomes one more
};

// One step: weights, moments and times change in place, gradients do not. scale: [] fp32 there, or
// undefined, a factor of the gradients beside rule.gradient_scale; where it is not finite nothing
// changes. Torch's error where tensors do not fit. Also the operator sdtune::adamw_, which only
// CUDA has.
void update_adamw_on_device(const AdamWLists& lists, const AdamWRule& rule,
                            const at::Tensor& scale);

}  // namespace sdtune
