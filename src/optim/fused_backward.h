// Updates that follow each gradient in the backward pass, so that only one gradient is in memory at
// a time (LOMO, Lv et al. 2023; sd-scripts' fused_backward_pass). For optimizers that update tensor
// by tensor, without accumulation.
#pragma once

#include <ATen/core/Tensor.h>

#include "optim/optimizer.h"

namespace sdtune {

class FusedBackward {
 public:
  // Hooks every parameter of the optimizer, which must outlive this and its backward passes.
  // `max_norm` bounds each gradient by itself; 0 is off. Error for an optimizer that cannot.
  FusedBackward(Optimizer& optimizer, double max_norm);
  ~FusedBackward();
  FusedBackward(const FusedBackward&) = delete;
  FusedBackward& operator=(const FusedBackward&) = delete;

  // The next backward pass updates for this step.
  void begin(const UpdateMoment& moment);
  // Joint L2 norm of the gradients since begin(), before clipping: [] fp32 on their device.
  at::Tensor norm() const;
  // Once after the pass: the first parameter whose gradient was not finite, and which was therefore
  // left as it was; "" when all were. One host sync.
  std::string finish();

 private:
  void update(size_t group, size_t index);

  Optimizer& optimizer_;
  double max_norm_;
  UpdateMoment moment_;
  at::Tensor squares_;
  struct Place {
    size_t group, index;
  };
  std::vector<Place> places_;      // of the gradients since begin()
  std::vector<at::Tensor> norms_;  // as many
};

}  // namespace sdtune
