// From an element's name to its C++ type, for what launches kernels; only .cu files include it.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include "kernels/cuda_element.h"

namespace sdtune {

// Calls launch with a null pointer to the type, and returns its status.
template <class Launch>
cudaError_t with_cuda_element(CudaElement element, Launch launch) {
  switch (element) {
    case CudaElement::kBFloat16:
      return launch(static_cast<__nv_bfloat16*>(nullptr));
    case CudaElement::kHalf:
      return launch(static_cast<__half*>(nullptr));
    case CudaElement::kFloat:
      return launch(static_cast<float*>(nullptr));
  }
  return cudaErrorInvalidValue;
}

}  // namespace sdtune
