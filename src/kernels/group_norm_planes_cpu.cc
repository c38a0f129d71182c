#include "kernels/group_norm_planes_cpu.h"

#include "kernels/cpu_lanes.h"

namespace sdtune {

namespace {

constexpr int64_t kRun = 64 * kLanes;  // values whose fp32 sums are joined in double

template <class T>
SDTUNE_INLINE double sum_all(const T* x, int64_t count) {
  double sum = 0;
  for (int64_t first = 0; first < count; first += kRun) {
    const int64_t last = first + kRun < count ? first + kRun : count;
    Floats part = {};
    for (int64_t i = first; i < last; i += kLanes) part += load_lanes(x + i, last - i);
    sum += sum_of_lanes(part);
  }
  return sum;
}

template <class T>
SDTUNE_INLINE double square_all(const T* x, int64_t count, float mean) {
  double sum = 0;
  for (int64_t first = 0; first < count; first += kRun) {
    const int64_t last = first + kRun < count ? first + kRun : count;
    Floats part = {};
    for (int64_t i = first; i < last; i += kLanes) {
      const Floats apart = only_first(load_lanes(x + i, last - i) - mean, last - i);
      part += apart * apart;
    }
    sum += sum_of_lanes(part);
  }
  return sum;
}

template <bool kSilu, class T>
SDTUNE_INLINE void forward(const PlaneForward<T>& job) {
  for (int64_t i = 0; i < job.count; i += kLanes) {
    const int64_t left = job.count - i;
    const Floats z = load_lanes(job.x + i, left) * job.scale + job.shift;
    store_lanes(kSilu ? z / (1.0F + exp_of(-z)) : z, job.out + i, left);
  }
}

template <class T>
SDTUNE_INLINE void forward_any(const PlaneForward<T>& job) {
  if (job.silu) {
    forward<true>(job);
  } else {
    forward<false>(job);
  }
}

// d silu(z) / dz = s·(1 + z·(1 - s)) with s the logistic function of z.
template <bool kSilu>
SDTUNE_INLINE Floats before_silu(Floats grad, Floats z) {
  if (!kSilu) return grad;
  const Floats s = 1.0F / (1.0F + exp_of(-z));
  return grad * s * (1.0F + z * (1.0F - s));
}

template <bool kSilu, class T>
SDTUNE_INLINE PlaneSums backward(const PlaneBackward<T>& job) {
  PlaneSums sums;
  for (int64_t first = 0; first < job.count; first += kRun) {
    const int64_t last = first + kRun < job.count ? first + kRun : job.count;
    Floats grads = {}, products = {};
    for (int64_t i = first; i < last; i += kLanes) {
      const Floats x = load_lanes(job.x + i, last - i);
      // Behind the last value the gradient is 0.
      const Floats grad = load_lanes(job.grad + i, last - i);
      const Floats grad_z = before_silu<kSilu>(grad, x * job.scale + job.shift);
      grads += grad_z;
      products += grad_z * ((x - job.mean) * job.inverse);
      store_lanes(grad_z, job.grad_z + i, last - i);
    }
    sums.grad += sum_of_lanes(grads);
    sums.grad_x_hat += sum_of_lanes(products);
  }
  return sums;
}

template <class T>
SDTUNE_INLINE PlaneSums backward_any(const PlaneBackward<T>& job) {
  return job.silu ? backward<true>(job) : backward<false>(job);
}

template <class T>
SDTUNE_INLINE void gradient(const PlaneGradient<T>& job) {
  for (int64_t i = 0; i < job.count; i += kLanes) {
    const int64_t left = job.count - i;
    const Floats x = load_lanes(job.x + i, left);
    const Floats grad_z = load_lanes(job.grad_z + i, left);
    store_lanes(job.scale * grad_z - (job.base + job.slope * x), job.grad_x + i, left);
  }
}

}  // namespace

SDTUNE_EACH_WIDTH double sum_of_plane(const float* x, int64_t count) { return sum_all(x, count); }
SDTUNE_EACH_WIDTH double sum_of_plane(const BFloat16Bits* x, int64_t count) {
  return sum_all(x, count);
}

SDTUNE_EACH_WIDTH double squares_of_plane(const float* x, int64_t count, float mean) {
  return square_all(x, count, mean);
}
SDTUNE_EACH_WIDTH double squares_of_plane(const BFloat16Bits* x, int64_t count, float mean) {
  return square_all(x, count, mean);
}

SDTUNE_EACH_WIDTH void run_plane(const PlaneForward<float>& job) { forward_any(job); }
SDTUNE_EACH_WIDTH void run_plane(const PlaneForward<BFloat16Bits>& job) { forward_any(job); }

SDTUNE_EACH_WIDTH PlaneSums run_plane(const PlaneBackward<float>& job) { return backward_any(job); }
SDTUNE_EACH_WIDTH PlaneSums run_plane(const PlaneBackward<BFloat16Bits>& job) {
  return backward_any(job);
}

SDTUNE_EACH_WIDTH void run_plane(const PlaneGradient<float>& job) { gradient(job); }
SDTUNE_EACH_WIDTH void run_plane(const PlaneGradient<BFloat16Bits>& job) { gradient(job); }

}  // namespace sdtune
