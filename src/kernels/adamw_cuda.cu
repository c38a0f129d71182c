#include "kernels/adamw_cuda.h"
#include "kernels/tensor_table.h"

namespace sdtune {

namespace {

constexpr int kThreads = 256;
constexpr int kWide = 4;  // floats of a load

struct TimeRow {
  float* time;
  AdamWCorrections* corrections;
  int64_t count;  // 1
};
using Times = TensorTable<TimeRow>;
using Table = TensorTable<AdamWRow>;

__device__ float scale_of(const float* scale) { return scale == nullptr ? 1.0F : *scale; }

// One thread for each tensor: counts its update and makes the corrections that this one needs.
__global__ void advance_kernel(const __grid_constant__ Times times,
                               const __grid_constant__ AdamWNumbers numbers, const float* scale) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= times.size || !isfinite(scale_of(scale))) return;
  const float time = *times.rows[i].time + 1;
  *times.rows[i].time = time;
  *times.rows[i].corrections = adamw_corrections(numbers, time);
}

__device__ bool aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % (kWide * sizeof(float)) == 0;
}

__device__ bool aligned(const AdamWRow& row) {
  return aligned(row.weight) && aligned(row.gradient) && aligned(row.exp_avg) &&
         aligned(row.exp_avg_sq) && aligned(row.max_exp_avg_sq);
}

struct alignas(kWide * sizeof(float)) Pack {
  float values[kWide];
};
__device__ Pack load(const float* from) { return *reinterpret_cast<const Pack*>(from); }
__device__ void store(const Pack& pack, float* to) { *reinterpret_cast<Pack*>(to) = pack; }

template <bool kAmsgrad>
__device__ void update_pack(const AdamWRow& row, int64_t i, const AdamWNumbers& numbers,
                            const AdamWCorrections& corrections) {
  const Pack gradient = load(row.gradient + i);
  Pack weight = load(row.weight + i);
  Pack first = load(row.exp_avg + i);
  Pack second = load(row.exp_avg_sq + i);
  Pack largest = {};
  if constexpr (kAmsgrad) largest = load(row.max_exp_avg_sq + i);
#pragma unroll
  for (int k = 0; k < kWide; ++k) {
    AdamWElement e{weight.values[k], first.values[k], second.values[k], largest.values[k]};
    update_adamw_element<kAmsgrad>(e, gradient.values[k], numbers, corrections);
    weight.values[k] = e.weight;
    first.values[k] = e.exp_avg;
    second.values[k] = e.exp_avg_sq;
    largest.values[k] = e.max_exp_avg_sq;
  }
  store(weight, row.weight + i);
  store(first, row.exp_avg + i);
  store(second, row.exp_avg_sq + i);
  if constexpr (kAmsgrad) store(largest, row.max_exp_avg_sq + i);
}

template <bool kAmsgrad>
__device__ void update_one(const AdamWRow& row, int64_t i, const AdamWNumbers& numbers,
                           const AdamWCorrections& corrections) {
  AdamWElement e{row.weight[i], row.exp_avg[i], row.exp_avg_sq[i],
                 kAmsgrad ? row.max_exp_avg_sq[i] : 0.0F};
  update_adamw_element<kAmsgrad>(e, row.gradient[i], numbers, corrections);
  row.weight[i] = e.weight;
  row.exp_avg[i] = e.exp_avg;
  row.exp_avg_sq[i] = e.exp_avg_sq;
  if constexpr (kAmsgrad) row.max_exp_avg_sq[i] = e.max_exp_avg_sq;
}

// A thread block for each part of a tensor.
template <bool kAmsgrad>
__global__ void update_kernel(const __grid_constant__ Table table, AdamWNumbers numbers,
                              const float* scale) {
  numbers.gradient_scale *= scale_of(scale);
  if (!isfinite(numbers.gradient_scale)) return;
  const TablePart part = table.part(static_cast<int32_t>(blockIdx.x));
  const AdamWRow& row = table.rows[part.tensor];
  const AdamWCorrections corrections = *row.corrections;
  const int64_t end = part.first + part.count;
  const int64_t packs_end = aligned(row) ? part.first + part.count / kWide * kWide : part.first;
  for (int64_t i = part.first + threadIdx.x * kWide; i < packs_end; i += kThreads * kWide) {
    update_pack<kAmsgrad>(row, i, numbers, corrections);
  }
  for (int64_t i = packs_end + threadIdx.x; i < end; i += kThreads) {
    update_one<kAmsgrad>(row, i, numbers, corrections);
  }
}

cudaError_t advance(const AdamWLaunch& launch, const AdamWRow* rows, int size,
                    cudaStream_t stream) {
  Times times;
  for (int i = 0; i < size; ++i) times.add({rows[i].time, rows[i].corrections, 1});
  const unsigned blocks = static_cast<unsigned>((size + kThreads - 1) / kThreads);
  advance_kernel<<<blocks, kThreads, 0, stream>>>(times, launch.numbers, launch.scale);
  return cudaGetLastError();
}

}  // namespace

cudaError_t launch_adamw(const AdamWLaunch& launch, cudaStream_t stream) {
  for (int64_t first = 0; first < launch.size; first += Times::kMost) {
    const int64_t rest = launch.size - first;
    const int size = static_cast<int>(rest < Times::kMost ? rest : Times::kMost);
    const cudaError_t error = advance(launch, launch.rows + first, size, stream);
    if (error != cudaSuccess) return error;
  }
  return each_table(launch.rows, launch.size, [&](const Table& table) {
    const auto blocks = static_cast<unsigned>(table.parts);
    if (table.rows[0].max_exp_avg_sq != nullptr) {
      update_kernel<true><<<blocks, kThreads, 0, stream>>>(table, launch.numbers, launch.scale);
    } else {
      update_kernel<false><<<blocks, kThreads, 0, stream>>>(table, launch.numbers, launch.scale);
    }
    return cudaGetLastError();
  });
}

}  // namespace sdtune
