#include <type_traits>

#include "kernels/cuda_element_switch.h"
#include "kernels/geglu_cuda.h"

namespace sdtune {

namespace {

constexpr int kMostThreads = 256;

template <class T, int kWidth>
struct alignas(sizeof(T) * kWidth) Vector {
  T values[kWidth];
};

// 1 + erf(u / sqrt(2)) cancels where u is negative.
__device__ float cumulative(float u) { return normcdff(u); }
__device__ float density(float u) { return 0.398942280F * __expf(-0.5F * u * u); }

// One block column of one row; every thread takes kWidth neighbours, 16 bytes where they align.
template <class T, int kWidth>
__global__ void forward_kernel(const T* __restrict__ x, T* __restrict__ out, int64_t d) {
  using Pack = Vector<T, kWidth>;
  const int64_t column = (int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * kWidth;
  if (column >= d) return;
  const int64_t row = blockIdx.x;
  const T* from = x + row * 2 * d + column;
  const Pack hidden = *reinterpret_cast<const Pack*>(from);
  const Pack gate = *reinterpret_cast<const Pack*>(from + d);
  Pack result;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    const float u = static_cast<float>(gate.values[i]);
    result.values[i] = static_cast<T>(static_cast<float>(hidden.values[i]) * (u * cumulative(u)));
  }
  *reinterpret_cast<Pack*>(out + row * d + column) = result;
}

template <class T, int kWidth>
__global__ void backward_kernel(const T* __restrict__ grad, const T* __restrict__ x,
                                T* __restrict__ grad_x, int64_t d) {
  using Pack = Vector<T, kWidth>;
  const int64_t column = (int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * kWidth;
  if (column >= d) return;
  const int64_t row = blockIdx.x;
  const int64_t first = row * 2 * d + column;
  const Pack upper = *reinterpret_cast<const Pack*>(grad + row * d + column);
  const Pack hidden = *reinterpret_cast<const Pack*>(x + first);
  const Pack gate = *reinterpret_cast<const Pack*>(x + first + d);
  Pack grad_hidden;
  Pack grad_gate;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    const float g = static_cast<float>(upper.values[i]);
    const float u = static_cast<float>(gate.values[i]);
    const float phi = cumulative(u);
    grad_hidden.values[i] = static_cast<T>(g * (u * phi));
    grad_gate.values[i] =
        static_cast<T>(g * static_cast<float>(hidden.values[i]) * (phi + u * density(u)));
  }
  *reinterpret_cast<Pack*>(grad_x + first) = grad_hidden;
  *reinterpret_cast<Pack*>(grad_x + first + d) = grad_gate;
}

struct Geometry {
  dim3 grid;
  int threads;
};

// Columns are split evenly, in whole warps: 160 vectors make one block of 160 threads, not one of
// 256.
Geometry geometry(int64_t rows, int64_t vectors) {
  const int64_t blocks = (vectors + kMostThreads - 1) / kMostThreads;
  const int64_t threads = ((vectors + blocks - 1) / blocks + 31) / 32 * 32;
  return {dim3(static_cast<unsigned>(rows), static_cast<unsigned>(blocks)),
          static_cast<int>(threads)};
}

bool aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

template <class T>
cudaError_t forward(const GegluForwardLaunch& launch, cudaStream_t stream) {
  constexpr int kWide = 16 / sizeof(T);
  const auto* x = static_cast<const T*>(launch.x);
  auto* out = static_cast<T*>(launch.out);
  if (launch.d % kWide == 0 && aligned(x) && aligned(out)) {
    const Geometry shape = geometry(launch.rows, launch.d / kWide);
    forward_kernel<T, kWide><<<shape.grid, shape.threads, 0, stream>>>(x, out, launch.d);
  } else {
    const Geometry shape = geometry(launch.rows, launch.d);
    forward_kernel<T, 1><<<shape.grid, shape.threads, 0, stream>>>(x, out, launch.d);
  }
  return cudaGetLastError();
}

template <class T>
cudaError_t backward(const GegluBackwardLaunch& launch, cudaStream_t stream) {
  constexpr int kWide = 16 / sizeof(T);
  const auto* grad = static_cast<const T*>(launch.grad);
  const auto* x = static_cast<const T*>(launch.x);
  auto* grad_x = static_cast<T*>(launch.grad_x);
  if (launch.d % kWide == 0 && aligned(grad) && aligned(x) && aligned(grad_x)) {
    const Geometry shape = geometry(launch.rows, launch.d / kWide);
    backward_kernel<T, kWide><<<shape.grid, shape.threads, 0, stream>>>(grad, x, grad_x, launch.d);
  } else {
    const Geometry shape = geometry(launch.rows, launch.d);
    backward_kernel<T, 1><<<shape.grid, shape.threads, 0, stream>>>(grad, x, grad_x, launch.d);
  }
  return cudaGetLastError();
}

}  // namespace

cudaError_t launch_geglu_forward(const GegluForwardLaunch& launch, cudaStream_t stream) {
  return with_cuda_element(launch.element, [&](auto* element) {
    return forward<std::remove_pointer_t<decltype(element)>>(launch, stream);
  });
}

cudaError_t launch_geglu_backward(const GegluBackwardLaunch& launch, cudaStream_t stream) {
  return with_cuda_element(launch.element, [&](auto* element) {
    return backward<std::remove_pointer_t<decltype(element)>>(launch, stream);
  });
}

}  // namespace sdtune
