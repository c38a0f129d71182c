// What this machine can do right now: the measure that the parts of a step are held against.
#pragma once

#include <ATen/core/Tensor.h>

namespace sdtune {

// FLOP/s of a large product of square matrices of `type`, the best of several.
double product_rate(c10::Device device, at::ScalarType type);

// Bytes read and written a second by a copy that fits in no cache, the best of several.
double copy_rate(c10::Device device);

}  // namespace sdtune
