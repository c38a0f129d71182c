// GEGLU, the gated activation of the transformer blocks: the first half of the last dimension times
// the exact (erf) GELU of the second, as Diffusers' GEGLU does after its projection. One pass
// forward and one backward, and only the input is kept, where the composite keeps GELU's result
// too. Source: Shazeer, "GLU variants improve transformer", 2020. Not the projection, which is a
// Linear.
#pragma once

#include <ATen/core/Tensor.h>

namespace sdtune {

// x: [..., 2·d], fp32, bf16 or fp16, any strides; the result: [..., d], contiguous, of x's type.
// Arithmetic is fp32 with one rounding at the end. Differentiable once: a second derivative throws
// Error. Error when the last dimension is missing or odd, or for another type. Also callable as the
// torch operator sdtune::geglu, on CPU and (after load_cuda()) on CUDA.
at::Tensor geglu(const at::Tensor& x);

}  // namespace sdtune
