#include "kernels/group_norm_planes_cpu.h"

#include "kernels/cpu_lanes.h"

namespace sdtune {

namespace {

constexpr int64_t kRun = 64 * kLanes;  // values whose fp32 sums are joined in double

// Lanes of the `count` values at x, zero behind them.
template <class T>
SDTUNE_INLINE Floats load_some(const T* x, int64_t count) {
  T values[kLanes] = {};
  for (int64_t i = 0; i < count; ++i) values[i] = x[i];
  return load_lanes(values);
}

template <class T>
SDTUNE_INLINE void store_some(Floats values, T* out, int64_t count) {
  T stored[kLanes];
  store_lanes(values, stored);
  for (int64_t i = 0; i < count; ++i) out[i] = stored[i];
}

SDTUNE_INLINE double total(Floats lanes) {
  double sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += lanes[i];
  return sum;
}

// Calls whole(i) for each full vector and rest(i, count) for what is left, run by run.
template <class Whole, class Rest, class End>
SDTUNE_INLINE void each_vector(int64_t count, Whole whole, Rest rest, End end_of_run) {
  for (int64_t first = 0; first < count; first += kRun) {
    const int64_t last = first + kRun < count ? first + kRun : count;
    int64_t i = first;
    for (; i + kLanes <= last; i += kLanes) whole(i);
    if (i < last) rest(i, last - i);
    end_of_run();
  }
}

template <class T>
SDTUNE_INLINE double sum_all(const T* x, int64_t count) {
  double sum = 0;
  Floats part = {};
  each_vector(
      count, [&](int64_t i) { part += load_lanes(x + i); },
      [&](int64_t i, int64_t n) { part += load_some(x + i, n); },
      [&] {
        sum += total(part);
        part = Floats{};
      });
  return sum;
}

template <class T>
SDTUNE_INLINE double square_all(const T* x, int64_t count, float mean) {
  double sum = 0;
  Floats part = {};
  each_vector(
      count,
      [&](int64_t i) {
        const Floats apart = load_lanes(x + i) - mean;
        part += apart * apart;
      },
      [&](int64_t i, int64_t n) {
        Floats apart = load_some(x + i, n) - mean;
        for (int64_t k = n; k < kLanes; ++k) apart[k] = 0;
        part += apart * apart;
      },
      [&] {
        sum += total(part);
        part = Floats{};
      });
  return sum;
}

template <bool kSilu>
SDTUNE_INLINE Floats changed(Floats x, float scale, float shift) {
  const Floats z = x * scale + shift;
  return kSilu ? z / (1.0F + exp_of(-z)) : z;
}

template <bool kSilu, class T>
SDTUNE_INLINE void forward(const PlaneForward<T>& job) {
  each_vector(
      job.count,
      [&](int64_t i) {
        store_lanes(changed<kSilu>(load_lanes(job.x + i), job.scale, job.shift), job.out + i);
      },
      [&](int64_t i, int64_t n) {
        store_some(changed<kSilu>(load_some(job.x + i, n), job.scale, job.shift), job.out + i, n);
      },
      [] {});
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
  Floats grads = {}, products = {};
  const auto step = [&](Floats x, Floats grad) {
    const Floats grad_z = before_silu<kSilu>(grad, x * job.scale + job.shift);
    grads += grad_z;
    products += grad_z * ((x - job.mean) * job.inverse);
    return grad_z;
  };
  each_vector(
      job.count,
      [&](int64_t i) {
        store_lanes(step(load_lanes(job.x + i), load_lanes(job.grad + i)), job.grad_z + i);
      },
      [&](int64_t i, int64_t n) {
        // Behind the last value the gradient is 0.
        store_some(step(load_some(job.x + i, n), load_some(job.grad + i, n)), job.grad_z + i, n);
      },
      [&] {
        sums.grad += total(grads);
        sums.grad_x_hat += total(products);
        grads = products = Floats{};
      });
  return sums;
}

template <class T>
SDTUNE_INLINE PlaneSums backward_any(const PlaneBackward<T>& job) {
  return job.silu ? backward<true>(job) : backward<false>(job);
}

template <class T>
SDTUNE_INLINE void gradient(const PlaneGradient<T>& job) {
  const auto step = [&](Floats x, Floats grad_z) {
    return job.scale * grad_z - (job.base + job.slope * x);
  };
  each_vector(
      job.count,
      [&](int64_t i) {
        store_lanes(step(load_lanes(job.x + i), load_lanes(job.grad_z + i)), job.grad_x + i);
      },
      [&](int64_t i, int64_t n) {
        store_some(step(load_some(job.x + i, n), load_some(job.grad_z + i, n)), job.grad_x + i, n);
      },
      [] {});
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
