#include "kernels/layer_norm_cpu.h"

#include "kernels/cpu_lanes.h"

namespace sdtune {

namespace {

// The first `count` lanes, zero behind them.
template <class T>
SDTUNE_INLINE Floats load_some(const T* x, int64_t count) {
  if (count >= kLanes) return load_lanes(x);
  T values[kLanes] = {};
  for (int64_t i = 0; i < count; ++i) values[i] = x[i];
  return load_lanes(values);
}

template <class T>
SDTUNE_INLINE void store_some(Floats values, T* out, int64_t count) {
  if (count >= kLanes) return store_lanes(values, out);
  T stored[kLanes];
  store_lanes(values, stored);
  for (int64_t i = 0; i < count; ++i) out[i] = stored[i];
}

SDTUNE_INLINE float total(Floats lanes) {
  float sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += lanes[i];
  return sum;
}

struct Moments {
  float mean;
  float inverse;  // of the deviation
};

template <class T>
SDTUNE_INLINE Moments moments_of(const T* row, int64_t width, float eps) {
  Floats sums = {};
  for (int64_t i = 0; i < width; i += kLanes) sums += load_some(row + i, width - i);
  const float mean = total(sums) / static_cast<float>(width);
  Floats squares = {};
  for (int64_t i = 0; i < width; i += kLanes) {
    Floats apart = load_some(row + i, width - i) - mean;
    for (int64_t k = width - i; k < kLanes; ++k) apart[k] = 0;
    squares += apart * apart;
  }
  const float variance = total(squares) / static_cast<float>(width);
  return {mean, 1 / __builtin_sqrtf(variance + eps)};
}

template <class T>
SDTUNE_INLINE void forward(const LayerNormForward<T>& job) {
  for (int64_t row = 0; row < job.rows; ++row) {
    const T* x = job.x + row * job.width;
    T* out = job.out + row * job.width;
    const Moments m = moments_of(x, job.width, job.eps);
    for (int64_t i = 0; i < job.width; i += kLanes) {
      const int64_t left = job.width - i;
      const Floats x_hat = (load_some(x + i, left) - m.mean) * m.inverse;
      store_some(x_hat * load_some(job.weight + i, left) + load_some(job.bias + i, left), out + i,
                 left);
    }
  }
}

// grad_x = inverse·(weight·grad - mean of weight·grad - x̂·mean of weight·grad·x̂)
template <class T>
SDTUNE_INLINE void backward(const LayerNormBackward<T>& job) {
  for (int64_t row = 0; row < job.rows; ++row) {
    const T* x = job.x + row * job.width;
    const T* grad = job.grad + row * job.width;
    T* grad_x = job.grad_x + row * job.width;
    const Moments m = moments_of(x, job.width, job.eps);
    Floats grads = {}, products = {};
    for (int64_t i = 0; i < job.width; i += kLanes) {
      const int64_t left = job.width - i;
      const Floats g = load_some(grad + i, left);
      const Floats x_hat = (load_some(x + i, left) - m.mean) * m.inverse;
      const Floats weighted = g * load_some(job.weight + i, left);
      grads += weighted;
      products += weighted * x_hat;
      store_some(load_some(job.grad_weight + i, left) + g * x_hat, job.grad_weight + i, left);
      store_some(load_some(job.grad_bias + i, left) + g, job.grad_bias + i, left);
    }
    const float grad_mean = total(grads) / static_cast<float>(job.width);
    const float product_mean = total(products) / static_cast<float>(job.width);
    for (int64_t i = 0; i < job.width; i += kLanes) {
      const int64_t left = job.width - i;
      const Floats weighted = load_some(grad + i, left) * load_some(job.weight + i, left);
      const Floats x_hat = (load_some(x + i, left) - m.mean) * m.inverse;
      store_some((weighted - grad_mean - x_hat * product_mean) * m.inverse, grad_x + i, left);
    }
  }
}

}  // namespace

SDTUNE_EACH_WIDTH void run_rows(const LayerNormForward<float>& job) { forward(job); }
SDTUNE_EACH_WIDTH void run_rows(const LayerNormForward<BFloat16Bits>& job) { forward(job); }
SDTUNE_EACH_WIDTH void run_rows(const LayerNormBackward<float>& job) { backward(job); }
SDTUNE_EACH_WIDTH void run_rows(const LayerNormBackward<BFloat16Bits>& job) { backward(job); }

}  // namespace sdtune
