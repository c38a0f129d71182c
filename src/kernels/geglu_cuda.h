// GEGLU's launches on CUDA. Pointers, sizes and a stream: no torch on either side of this header,
// so that the .cu file compiles in seconds. Errors come back as the runtime's code, for
// register_cuda.cc to throw.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/cuda_element.h"

namespace sdtune {

// All rows are dense device memory of one element type.
struct GegluForwardLaunch {
  CudaElement element;
  const void* x;  // [rows, 2·d]
  void* out;      // [rows, d]
  int64_t rows;   // below 2^31
  int64_t d;
};

struct GegluBackwardLaunch {
  CudaElement element;
  const void* grad;  // [rows, d]
  const void* x;     // [rows, 2·d]
  void* grad_x;      // [rows, 2·d]
  int64_t rows;      // below 2^31
  int64_t d;
};

cudaError_t launch_geglu_forward(const GegluForwardLaunch& launch, cudaStream_t stream);
cudaError_t launch_geglu_backward(const GegluBackwardLaunch& launch, cudaStream_t stream);

}  // namespace sdtune
