// AdamW's launches on CUDA. Pointers, sizes and a stream: no torch on either side of this header.
// Errors come back as the runtime's code, for register_update_cuda.cc to throw.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/adamw_update.h"

namespace sdtune {

// Device memory, [count] each, in one order of elements.
struct AdamWRow {
  float* weight;
  const float* gradient;
  float* exp_avg;
  float* exp_avg_sq;
  float* max_exp_avg_sq;          // null for all tensors without amsgrad
  float* time;                    // [1]: updates made; becomes one more
  AdamWCorrections* corrections;  // [1], of this update
  int64_t count;
};

struct AdamWLaunch {
  const AdamWRow* rows;
  int64_t size;
  AdamWNumbers numbers;
  // [1] on the device, or null: another factor of the gradients. Where it is not finite nothing
  // changes, times included.
  const float* scale;
};

cudaError_t launch_adamw(const AdamWLaunch& launch, cudaStream_t stream);

}  // namespace sdtune
