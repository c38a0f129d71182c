// Group norm's launches on CUDA. Pointers, sizes and a stream: no torch on either side of this
// header. Errors come back as the runtime's code, for register_group_norm_cuda.cc to throw.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/cuda_element.h"

namespace sdtune {

// Dense device memory: [pictures, channels, pixels], or with channels last
// [pictures, pixels, channels].
struct GroupNormShape {
  int pictures, channels, pixels, groups;  // groups divide channels
  bool channels_last;
};

// Parameters are fp32: [channels], moments [pictures, groups]. inverse: of the deviation.
struct GroupNormForwardLaunch {
  CudaElement element;  // of x and out
  GroupNormShape shape;
  const void* x;
  void* out;
  const float* weight;
  const float* bias;
  double eps;
  bool silu;
  float* mean;     // result
  float* inverse;  // result
  float* scratch;  // [group_norm_scratch(shape)]
};

struct GroupNormBackwardLaunch {
  CudaElement element;  // of grad, x and grad_x
  GroupNormShape shape;
  const void* grad;
  const void* x;
  void* grad_x;
  const float* weight;
  const float* bias;
  const float* mean;
  const float* inverse;
  bool silu;
  float* grad_weight;  // [channels]
  float* grad_bias;    // [channels]
  float* scratch;      // [group_norm_scratch(shape)], at an address that 8 divides
};

int64_t group_norm_scratch(const GroupNormShape& shape);

cudaError_t launch_group_norm_forward(const GroupNormForwardLaunch& launch, cudaStream_t stream);
cudaError_t launch_group_norm_backward(const GroupNormBackwardLaunch& launch, cudaStream_t stream);

}  // namespace sdtune
