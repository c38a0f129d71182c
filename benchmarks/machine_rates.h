// What this machine can do right now: the measure that the parts of a step are held against.
#pragma once

#include <ATen/core/Tensor.h>

namespace sdtune {

// FLOP/s of a product of square matrices of `type`, large ones unless the machine is only tried
// out; the best of several.
double product_rate(c10::Device device, at::ScalarType type, bool tiny);

// Bytes read and written a second by a copy that fits in no cache, the best of several.
double copy_rate(c10::Device device);

}  // namespace sdtune
