// The element type of a tensor, as CUDA's kernels name it. Only what registers kernels includes it.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/cuda_element.h"

namespace sdtune {

// Torch's error for other types.
inline CudaElement cuda_element_of(const at::Tensor& x) {
  switch (x.scalar_type()) {
    case at::kFloat:
      return CudaElement::kFloat;
    case at::kBFloat16:
      return CudaElement::kBFloat16;
    case at::kHalf:
      return CudaElement::kHalf;
    default:
      TORCH_CHECK(false, "sdtune's kernels on CUDA take fp32, bf16 or fp16, not ", x.scalar_type());
  }
}

}  // namespace sdtune
