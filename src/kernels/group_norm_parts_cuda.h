// How group norm's kernels on CUDA share out their work; only the .cu files include it. Each way
// has three steps: sums over parts of each channel, the sums joined for each group, and the result
// from them. All is split by shape alone and joined in order, so that results do not change from
// run to run. Planes are a channel's pixels beside each other; with channels last a thread has the
// same neighbouring channels of many pixels.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <initializer_list>

#include "kernels/group_norm_cuda.h"
#include "kernels/group_norm_element.h"

namespace sdtune::group_norm_parts {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr unsigned kAllLanes = 0xFFFFFFFFU;
constexpr int kPlanePart = 1024;  // pixels of a warp
// A thread block with channels last: 8 threads read 128 bytes of a pixel together.
constexpr int kTileWidth = 8;
constexpr int kTileRows = 32;

// Pixels that are summed apart: what fills the device where pictures are small, and reads a
// channel's parameters less often where they are large.
inline int part_size(const GroupNormShape& shape) {
  if (!shape.channels_last) return kPlanePart;
  return shape.pixels <= 16384 ? 128 : 1024;
}

// What every kernel knows.
struct Norm {
  int pictures, channels, pixels, groups;
  int width;  // channels of a group
  int part_size, parts;
  bool channels_last, silu;
  const float* weight;
  const float* bias;
  const float* mean;
  const float* inverse;

  // Of all groups of all pictures.
  __device__ int group(int picture, int c) const { return picture * groups + c / width; }
  __device__ ChannelNorm channel(int picture, int c) const {
    const int own = group(picture, c);
    return {mean[own], inverse[own], weight[c] * inverse[own], bias[c]};
  }
  __device__ int part_pixels(int part) const { return min(part_size, pixels - part * part_size); }
  // Where the sums of a part of a channel stand.
  __device__ int64_t place(int picture, int c, int part) const {
    return channels_last ? (int64_t{picture} * parts + part) * channels + c
                         : (int64_t{picture} * channels + c) * parts + part;
  }
};

inline int parts_of(const GroupNormShape& shape) {
  return (shape.pixels + part_size(shape) - 1) / part_size(shape);
}

template <class Launch>
Norm norm_of(const Launch& launch) {
  const GroupNormShape& s = launch.shape;
  return {s.pictures,   s.channels,  s.pixels,        s.groups,    s.channels / s.groups,
          part_size(s), parts_of(s), s.channels_last, launch.silu, launch.weight,
          launch.bias,  launch.mean, launch.inverse};
}

template <class T, int kWidth>
struct alignas(sizeof(T) * kWidth) Pack {
  T values[kWidth];
};

template <class T, int kWidth>
__device__ void load(const T* from, float (&to)[kWidth]) {
  const auto pack = *reinterpret_cast<const Pack<T, kWidth>*>(from);
#pragma unroll
  for (int k = 0; k < kWidth; ++k) to[k] = static_cast<float>(pack.values[k]);
}

template <class T, int kWidth>
__device__ void store(const float (&from)[kWidth], T* to) {
  Pack<T, kWidth> pack;
#pragma unroll
  for (int k = 0; k < kWidth; ++k) pack.values[k] = static_cast<T>(from[k]);
  *reinterpret_cast<Pack<T, kWidth>*>(to) = pack;
}

// A warp's part of a plane.
struct Strip {
  int picture, channel, part;
  int64_t first;  // element of the tensor
  int count;
  bool exists;

  __device__ explicit Strip(const Norm& n) {
    const int number = static_cast<int>(blockIdx.x * kWarps + threadIdx.x / 32);
    const int plane = number / n.parts;
    part = number % n.parts;
    picture = plane / n.channels;
    channel = plane % n.channels;
    exists = picture < n.pictures;
    first = int64_t{plane} * n.pixels + int64_t{part} * n.part_size;
    count = n.part_pixels(part);
  }
  // Calls use(element) for the first element of each of the thread's packs.
  template <int kWidth, class Use>
  __device__ void each(Use use) const {
    const int lane = threadIdx.x % 32;
#pragma unroll 4
    for (int i = lane * kWidth; i < count; i += 32 * kWidth) use(first + i);
  }
};

// A thread block's part of a picture with channels last.
template <int kWidth>
struct Tile {
  int picture, part;
  int channel;  // first of the thread's
  int64_t first;
  int rows;
  bool exists;

  __device__ explicit Tile(const Norm& n) {
    picture = static_cast<int>(blockIdx.x) / n.parts;
    part = static_cast<int>(blockIdx.x) % n.parts;
    channel = static_cast<int>(blockIdx.y * kTileWidth + threadIdx.x) * kWidth;
    exists = channel < n.channels;
    first = (int64_t{picture} * n.pixels + int64_t{part} * n.part_size) * n.channels + channel;
    rows = n.part_pixels(part);
  }
  // Calls use(element) for the first element of each of the thread's packs.
  template <class Use>
  __device__ void each(const Norm& n, Use use) const {
    if (!exists) return;
#pragma unroll 4
    for (int row = threadIdx.y; row < rows; row += kTileRows) {
      use(first + int64_t{row} * n.channels);
    }
  }
};

// Joins what the rows of threads of a tile have, for the first row.
template <class Sum, int kWidth>
__device__ void join_rows(Sum (&own)[kWidth]) {
  __shared__ Sum shared[kTileRows][kTileWidth][kWidth];
  Sum(&mine)[kWidth] = shared[threadIdx.y][threadIdx.x];
#pragma unroll
  for (int k = 0; k < kWidth; ++k) mine[k] = own[k];
  for (int step = kTileRows / 2; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.y >= step) continue;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      join(mine[k], shared[threadIdx.y + step][threadIdx.x][k]);
    }
  }
#pragma unroll
  for (int k = 0; k < kWidth; ++k) own[k] = mine[k];
}

// Joins what the threads of a block have, for the first thread.
template <class Sum>
__device__ void join_block(Sum& own) {
  __shared__ Sum shared[kThreads];
  shared[threadIdx.x] = own;
  for (int step = kThreads / 2; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.x < step) join(shared[threadIdx.x], shared[threadIdx.x + step]);
  }
  own = shared[threadIdx.x];
}

// A thread block for each group of each picture. Calls use(channel, part) for the thread's share of
// the group's sums, neighbours for neighbouring threads.
template <class Use>
__device__ void each_part_of_group(const Norm& n, Use use) {
  const int first = static_cast<int>(blockIdx.x) % n.groups * n.width;
  for (int i = threadIdx.x; i < n.width * n.parts; i += kThreads) {
    if (n.channels_last) {
      use(first + i % n.width, i / n.width);
    } else {
      use(first + i / n.parts, i % n.parts);
    }
  }
}

// The widest loads that the shape and the addresses allow: 16 bytes, or one value.
template <class T>
bool takes_packs(const GroupNormShape& shape, std::initializer_list<const void*> addresses) {
  constexpr int kWidth = 16 / sizeof(T);
  for (const void* address : addresses) {
    if (reinterpret_cast<uintptr_t>(address) % 16 != 0) return false;
  }
  return (shape.channels_last ? shape.channels : shape.pixels) % kWidth == 0;
}

struct Grid {
  dim3 blocks, threads;
};

inline Grid strips(const Norm& n) {
  const int64_t warps = int64_t{n.pictures} * n.channels * n.parts;
  return {dim3(static_cast<unsigned>((warps + kWarps - 1) / kWarps)), dim3(kThreads)};
}

inline Grid tiles(const Norm& n, int width) {
  const int columns = kTileWidth * width;
  return {dim3(static_cast<unsigned>(n.pictures * n.parts),
               static_cast<unsigned>((n.channels + columns - 1) / columns)),
          dim3(kTileWidth, kTileRows)};
}

inline unsigned groups(const Norm& n) { return static_cast<unsigned>(n.pictures * n.groups); }

}  // namespace sdtune::group_norm_parts
