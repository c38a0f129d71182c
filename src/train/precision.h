// What --mixed_precision means on a device: the type that models compute in, and whether the loss
// is scaled.
#pragma once

#include <ATen/core/Tensor.h>

#include "train/train_options.h"

namespace sdtune {

struct Precision {
  at::ScalarType compute = at::kFloat;  // trained weights stay fp32
  bool scale_loss = false;
};

// fp16 on a CPU computes in fp32, with one warning: processors have no fp16 arithmetic worth using.
Precision choose_precision(MixedPrecision mixed_precision, at::Device device);

}  // namespace sdtune
