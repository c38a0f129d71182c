#include <type_traits>

#include "kernels/cuda_element_switch.h"
#include "kernels/group_norm_parts_cuda.h"

namespace sdtune {

namespace {

using namespace group_norm_parts;

// Of grad_z, and of grad_z·x̂.
template <class F>
struct GradSums {
  F grads;
  F products;
};
template <class F>
__device__ void join(GradSums<F>& all, const GradSums<F>& others) {
  all.grads += others.grads;
  all.products += others.products;
}

__device__ void add(GradSums<float>& all, const ChannelNorm& norm, float x, float grad, bool silu) {
  const float grad_z = grad_of_normed(norm, x, grad, silu);
  all.grads += grad_z;
  all.products += grad_z * ((x - norm.mean) * norm.inverse);
}

template <class T, int kWidth>
__global__ void plane_sums(const __grid_constant__ Norm n, const T* __restrict__ grad,
                           const T* __restrict__ x, float2* __restrict__ sums) {
  const Strip strip(n);
  if (!strip.exists) return;
  const ChannelNorm norm = n.channel(strip.picture, strip.channel);
  GradSums<float> own = {};
  strip.each<kWidth>([&](int64_t at) {
    float grads[kWidth], values[kWidth];
    load(grad + at, grads);
    load(x + at, values);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) add(own, norm, values[k], grads[k], n.silu);
  });
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) {
    own.grads += __shfl_xor_sync(kAllLanes, own.grads, lane);
    own.products += __shfl_xor_sync(kAllLanes, own.products, lane);
  }
  if (threadIdx.x % 32 == 0) {
    sums[n.place(strip.picture, strip.channel, strip.part)] = {own.grads, own.products};
  }
}

template <class T, int kWidth>
__global__ void tile_sums(const __grid_constant__ Norm n, const T* __restrict__ grad,
                          const T* __restrict__ x, float2* __restrict__ sums) {
  const Tile<kWidth> tile(n);
  GradSums<float> own[kWidth] = {};
  if (tile.exists) {
    ChannelNorm norms[kWidth];
#pragma unroll
    for (int k = 0; k < kWidth; ++k) norms[k] = n.channel(tile.picture, tile.channel + k);
    tile.each(n, [&](int64_t at) {
      float grads[kWidth], values[kWidth];
      load(grad + at, grads);
      load(x + at, values);
#pragma unroll
      for (int k = 0; k < kWidth; ++k) add(own[k], norms[k], values[k], grads[k], n.silu);
    });
  }
  join_rows(own);
  if (threadIdx.y != 0 || !tile.exists) return;
#pragma unroll
  for (int k = 0; k < kWidth; ++k) {
    sums[n.place(tile.picture, tile.channel + k, tile.part)] = {own[k].grads, own[k].products};
  }
}

__global__ void group_lines(const __grid_constant__ Norm n, const float2* __restrict__ sums,
                            GroupLine* __restrict__ lines) {
  const int picture = static_cast<int>(blockIdx.x) / n.groups;
  GradSums<double> all = {};
  each_part_of_group(n, [&](int c, int part) {
    const float2 sum = sums[n.place(picture, c, part)];
    const double weight = n.weight[c];
    join(all, {weight * sum.x, weight * sum.y});
  });
  join_block(all);
  if (threadIdx.x != 0) return;
  lines[blockIdx.x] = group_line(all.grads, all.products, n.inverse[blockIdx.x],
                                 static_cast<double>(n.width) * n.pixels);
}

// A thread block for each channel.
__global__ void parameter_grads(const __grid_constant__ Norm n, const float2* __restrict__ sums,
                                float* __restrict__ grad_weight, float* __restrict__ grad_bias) {
  const int c = static_cast<int>(blockIdx.x);
  GradSums<double> all = {};
  for (int i = threadIdx.x; i < n.pictures * n.parts; i += kThreads) {
    const float2 sum = sums[n.place(i / n.parts, c, i % n.parts)];
    join(all, {sum.x, sum.y});
  }
  join_block(all);
  if (threadIdx.x != 0) return;
  grad_weight[c] = static_cast<float>(all.products);
  grad_bias[c] = static_cast<float>(all.grads);
}

template <class T, int kWidth>
__global__ void plane_backward(const __grid_constant__ Norm n, const GroupLine* __restrict__ lines,
                               const T* __restrict__ grad, const T* __restrict__ x,
                               T* __restrict__ grad_x) {
  const Strip strip(n);
  if (!strip.exists) return;
  const ChannelNorm norm = n.channel(strip.picture, strip.channel);
  const GroupLine line = lines[n.group(strip.picture, strip.channel)];
  strip.each<kWidth>([&](int64_t at) {
    float grads[kWidth], values[kWidth];
    load(grad + at, grads);
    load(x + at, values);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      grads[k] =
          grad_of_x(norm, line, values[k], grad_of_normed(norm, values[k], grads[k], n.silu));
    }
    store(grads, grad_x + at);
  });
}

template <class T, int kWidth>
__global__ void tile_backward(const __grid_constant__ Norm n, const GroupLine* __restrict__ lines,
                              const T* __restrict__ grad, const T* __restrict__ x,
                              T* __restrict__ grad_x) {
  const Tile<kWidth> tile(n);
  if (!tile.exists) return;
  ChannelNorm norms[kWidth];
  GroupLine lines_of[kWidth];
#pragma unroll
  for (int k = 0; k < kWidth; ++k) {
    norms[k] = n.channel(tile.picture, tile.channel + k);
    lines_of[k] = lines[n.group(tile.picture, tile.channel + k)];
  }
  tile.each(n, [&](int64_t at) {
    float grads[kWidth], values[kWidth];
    load(grad + at, grads);
    load(x + at, values);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      grads[k] = grad_of_x(norms[k], lines_of[k], values[k],
                           grad_of_normed(norms[k], values[k], grads[k], n.silu));
    }
    store(grads, grad_x + at);
  });
}

template <class T, int kWidth>
void run(const GroupNormBackwardLaunch& launch, const Norm& n, cudaStream_t stream) {
  const auto* grad = static_cast<const T*>(launch.grad);
  const auto* x = static_cast<const T*>(launch.x);
  auto* grad_x = static_cast<T*>(launch.grad_x);
  auto* lines = reinterpret_cast<GroupLine*>(launch.scratch);
  auto* sums = reinterpret_cast<float2*>(lines + groups(n));
  const auto [blocks, threads] = n.channels_last ? tiles(n, kWidth) : strips(n);
  if (n.channels_last) {
    tile_sums<T, kWidth><<<blocks, threads, 0, stream>>>(n, grad, x, sums);
  } else {
    plane_sums<T, kWidth><<<blocks, threads, 0, stream>>>(n, grad, x, sums);
  }
  group_lines<<<groups(n), kThreads, 0, stream>>>(n, sums, lines);
  parameter_grads<<<static_cast<unsigned>(n.channels), kThreads, 0, stream>>>(
      n, sums, launch.grad_weight, launch.grad_bias);
  if (n.channels_last) {
    tile_backward<T, kWidth><<<blocks, threads, 0, stream>>>(n, lines, grad, x, grad_x);
  } else {
    plane_backward<T, kWidth><<<blocks, threads, 0, stream>>>(n, lines, grad, x, grad_x);
  }
}

template <class T>
cudaError_t backward(const GroupNormBackwardLaunch& launch, cudaStream_t stream) {
  const Norm n = norm_of(launch);
  if (takes_packs<T>(launch.shape, {launch.grad, launch.x, launch.grad_x})) {
    run<T, 16 / sizeof(T)>(launch, n, stream);
  } else {
    run<T, 1>(launch, n, stream);
  }
  return cudaGetLastError();
}

}  // namespace

cudaError_t launch_group_norm_backward(const GroupNormBackwardLaunch& launch, cudaStream_t stream) {
  return with_cuda_element(launch.element, [&](auto* element) {
    return backward<std::remove_pointer_t<decltype(element)>>(launch, stream);
  });
}

}  // namespace sdtune
