// The launches of 8-bit states on CUDA. Pointers, sizes and a stream: no torch on either side of
// this header. Errors come back as the runtime's code, for register_8bit_cuda.cc to throw.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/update_8bit_cpu.h"

namespace sdtune {

// The job's pointers are device memory.
cudaError_t launch_update_8bit(const Update8bitJob& job, cudaStream_t stream);
cudaError_t launch_quantize_8bit(const float* x, int64_t count, bool is_signed,
                                 const State8bit& out, cudaStream_t stream);
cudaError_t launch_dequantize_8bit(const State8bit& state, int64_t count, bool is_signed,
                                   float* out, cudaStream_t stream);

}  // namespace sdtune
