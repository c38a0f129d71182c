// Stochastic rounding's launch on CUDA: pointers, sizes and a stream, no torch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace sdtune {

// value: [count] fp32, out: [count] bf16, both dense device memory.
cudaError_t launch_stochastic_round(const float* value, void* out, int64_t count, uint64_t key,
                                    cudaStream_t stream);

}  // namespace sdtune
