#include "kernels/rounding_bits.h"
#include "kernels/stochastic_round_cuda.h"

namespace sdtune {

namespace {

constexpr int kThreads = 256;
constexpr int64_t kMostBlocks = 4096;

__global__ void round_kernel(const float* __restrict__ value, uint16_t* __restrict__ out,
                             int64_t count, uint64_t key) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    out[i] = round_to_bf16_bits(__float_as_uint(value[i]), key,
                                rounding_block_key(key, i / kRoundingBlock),
                                static_cast<uint32_t>(i % kRoundingBlock));
  }
}

}  // namespace

cudaError_t launch_stochastic_round(const float* value, void* out, int64_t count, uint64_t key,
                                    cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  const int64_t needed = (count + kThreads - 1) / kThreads;
  const auto blocks = static_cast<unsigned>(needed < kMostBlocks ? needed : kMostBlocks);
  round_kernel<<<blocks, kThreads, 0, stream>>>(value, static_cast<uint16_t*>(out), count, key);
  return cudaGetLastError();
}

}  // namespace sdtune
