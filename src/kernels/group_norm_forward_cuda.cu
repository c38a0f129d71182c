#include <type_traits>

#include "kernels/cuda_element_switch.h"
#include "kernels/group_norm_parts_cuda.h"

namespace sdtune {

namespace {

using namespace group_norm_parts;

// The moments of each part of each channel: mean and squares, whose count the shape gives.
template <class T, int kWidth>
__global__ void plane_moments(const __grid_constant__ Norm n, const T* __restrict__ x,
                              float2* __restrict__ sums) {
  const Strip strip(n);
  if (!strip.exists) return;
  RunningMoments moments = {};
  strip.each<kWidth>([&](int64_t at) {
    float values[kWidth];
    load(x + at, values);
    add_values(moments, values);
  });
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) {
    join(moments, {__shfl_down_sync(kAllLanes, moments.count, lane),
                   __shfl_down_sync(kAllLanes, moments.mean, lane),
                   __shfl_down_sync(kAllLanes, moments.squares, lane)});
  }
  if (threadIdx.x % 32 == 0) {
    sums[n.place(strip.picture, strip.channel, strip.part)] = {moments.mean, moments.squares};
  }
}

template <class T, int kWidth>
__global__ void tile_moments(const __grid_constant__ Norm n, const T* __restrict__ x,
                             float2* __restrict__ sums) {
  const Tile<kWidth> tile(n);
  RunningMoments moments[kWidth] = {};
  tile.each(n, [&](int64_t at) {
    float values[kWidth];
    load(x + at, values);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) join(moments[k], {1, values[k], 0});
  });
  join_rows(moments);
  if (threadIdx.y != 0 || !tile.exists) return;
#pragma unroll
  for (int k = 0; k < kWidth; ++k) {
    sums[n.place(tile.picture, tile.channel + k, tile.part)] = {moments[k].mean,
                                                                moments[k].squares};
  }
}

__global__ void group_moments(const __grid_constant__ Norm n, const float2* __restrict__ sums,
                              double eps, float* mean, float* inverse) {
  const int picture = static_cast<int>(blockIdx.x) / n.groups;
  RunningMoments moments = {};
  each_part_of_group(n, [&](int c, int part) {
    const float2 sum = sums[n.place(picture, c, part)];
    join(moments, {static_cast<float>(n.part_pixels(part)), sum.x, sum.y});
  });
  join_block(moments);
  if (threadIdx.x != 0) return;
  const double variance = static_cast<double>(moments.squares) / moments.count;
  mean[blockIdx.x] = moments.mean;
  inverse[blockIdx.x] = static_cast<float>(1 / sqrt(variance + eps));
}

template <class T, int kWidth>
__global__ void plane_forward(const __grid_constant__ Norm n, const T* __restrict__ x,
                              T* __restrict__ out) {
  const Strip strip(n);
  if (!strip.exists) return;
  const ChannelNorm norm = n.channel(strip.picture, strip.channel);
  strip.each<kWidth>([&](int64_t at) {
    float values[kWidth];
    load(x + at, values);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) values[k] = normed(norm, values[k], n.silu);
    store(values, out + at);
  });
}

template <class T, int kWidth>
__global__ void tile_forward(const __grid_constant__ Norm n, const T* __restrict__ x,
                             T* __restrict__ out) {
  const Tile<kWidth> tile(n);
  if (!tile.exists) return;
  ChannelNorm norms[kWidth];
#pragma unroll
  for (int k = 0; k < kWidth; ++k) norms[k] = n.channel(tile.picture, tile.channel + k);
  tile.each(n, [&](int64_t at) {
    float values[kWidth];
    load(x + at, values);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) values[k] = normed(norms[k], values[k], n.silu);
    store(values, out + at);
  });
}

template <class T, int kWidth>
void run(const GroupNormForwardLaunch& launch, const Norm& n, cudaStream_t stream) {
  const auto* x = static_cast<const T*>(launch.x);
  auto* out = static_cast<T*>(launch.out);
  auto* sums = reinterpret_cast<float2*>(launch.scratch);
  const auto [blocks, threads] = n.channels_last ? tiles(n, kWidth) : strips(n);
  if (n.channels_last) {
    tile_moments<T, kWidth><<<blocks, threads, 0, stream>>>(n, x, sums);
  } else {
    plane_moments<T, kWidth><<<blocks, threads, 0, stream>>>(n, x, sums);
  }
  group_moments<<<groups(n), kThreads, 0, stream>>>(n, sums, launch.eps, launch.mean,
                                                    launch.inverse);
  if (n.channels_last) {
    tile_forward<T, kWidth><<<blocks, threads, 0, stream>>>(n, x, out);
  } else {
    plane_forward<T, kWidth><<<blocks, threads, 0, stream>>>(n, x, out);
  }
}

template <class T>
cudaError_t forward(const GroupNormForwardLaunch& launch, cudaStream_t stream) {
  const Norm n = norm_of(launch);
  if (takes_packs<T>(launch.shape, {launch.x, launch.out})) {
    run<T, 16 / sizeof(T)>(launch, n, stream);
  } else {
    run<T, 1>(launch, n, stream);
  }
  return cudaGetLastError();
}

}  // namespace

int64_t group_norm_scratch(const GroupNormShape& shape) {
  const int64_t sums = int64_t{shape.pictures} * shape.channels * parts_of(shape);
  return 2 * (sums + int64_t{shape.pictures} * shape.groups);
}

cudaError_t launch_group_norm_forward(const GroupNormForwardLaunch& launch, cudaStream_t stream) {
  return with_cuda_element(launch.element, [&](auto* element) {
    return forward<std::remove_pointer_t<decltype(element)>>(launch, stream);
  });
}

}  // namespace sdtune
