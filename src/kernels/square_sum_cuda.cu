#include <type_traits>

#include "kernels/cuda_element_switch.h"
#include "kernels/square_sum_cuda.h"
#include "kernels/tensor_table.h"

namespace sdtune {

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

using Table = TensorTable<SquareSumRow>;

template <class T, int kWidth>
struct alignas(sizeof(T) * kWidth) Pack {
  T values[kWidth];
};

__device__ double square(float value) {
  const auto wide = static_cast<double>(value);
  return wide * wide;
}

// The sum over the thread block, in a fixed order; for the first thread.
__device__ double block_sum(double own) {
  __shared__ double warps[kWarps];
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) own += __shfl_xor_sync(0xFFFFFFFFU, own, lane);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = own;
  __syncthreads();
  double sum = 0;
#pragma unroll
  for (int i = 0; i < kWarps; ++i) sum += warps[i];
  return sum;
}

// A thread block for each part of a tensor; 16 bytes at once where they align.
template <class T>
__global__ void squares_kernel(const __grid_constant__ Table table, double* sums) {
  constexpr int kWidth = 16 / sizeof(T);
  using Wide = Pack<T, kWidth>;
  const TablePart part = table.part(static_cast<int32_t>(blockIdx.x));
  const T* x = static_cast<const T*>(table.rows[part.tensor].x) + part.first;
  const bool aligned = reinterpret_cast<uintptr_t>(x) % sizeof(Wide) == 0;
  const int64_t packs_end = aligned ? part.count / kWidth * kWidth : 0;
  double sum = 0;
  for (int64_t i = threadIdx.x * kWidth; i < packs_end; i += kThreads * kWidth) {
    const Wide pack = *reinterpret_cast<const Wide*>(x + i);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sum += square(static_cast<float>(pack.values[k]));
  }
  for (int64_t i = packs_end + threadIdx.x; i < part.count; i += kThreads) {
    sum += square(static_cast<float>(x[i]));
  }
  const double all = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = all;
}

__global__ void sum_kernel(const double* sums, int64_t count, double* out) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += sums[i];
  const double all = block_sum(sum);
  if (threadIdx.x == 0) *out = all;
}

template <class T>
cudaError_t launch_squares(const SquareSumLaunch& launch, double* sums, cudaStream_t stream) {
  return each_table(launch.rows, launch.size, [&](const Table& table) {
    squares_kernel<T><<<static_cast<unsigned>(table.parts), kThreads, 0, stream>>>(table, sums);
    sums += table.parts;
    return cudaGetLastError();
  });
}

}  // namespace

int64_t square_sum_parts(const SquareSumLaunch& launch) {
  int64_t parts = 0;
  for (int64_t i = 0; i < launch.size; ++i) parts += table_parts(launch.rows[i].count);
  return parts;
}

cudaError_t launch_square_sums(const SquareSumLaunch& launch, double* sums, cudaStream_t stream) {
  return with_cuda_element(launch.element, [&](auto* element) {
    return launch_squares<std::remove_pointer_t<decltype(element)>>(launch, sums, stream);
  });
}

cudaError_t launch_sum(const double* sums, int64_t count, double* out, cudaStream_t stream) {
  sum_kernel<<<1, kThreads, 0, stream>>>(sums, count, out);
  return cudaGetLastError();
}

}  // namespace sdtune
