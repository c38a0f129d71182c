// Sums of squares on CUDA. Pointers, sizes and a stream: no torch on either side of this header.
// Errors come back as the runtime's code, for register_update_cuda.cc to throw.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/cuda_element.h"

namespace sdtune {

struct SquareSumRow {
  const void* x;  // [count], device memory
  int64_t count;
};

// Rows of one element type.
struct SquareSumLaunch {
  CudaElement element;
  const SquareSumRow* rows;
  int64_t size;
};

// Sums that one launch writes.
int64_t square_sum_parts(const SquareSumLaunch& launch);
// sums: [square_sum_parts()] on the device, one for each part of each row, in order.
cudaError_t launch_square_sums(const SquareSumLaunch& launch, double* sums, cudaStream_t stream);
// out: [1], the sum of sums: [count], in an order that depends on the count alone.
cudaError_t launch_sum(const double* sums, int64_t count, double* out, cudaStream_t stream);

}  // namespace sdtune
