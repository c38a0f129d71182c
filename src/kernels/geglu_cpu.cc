#include "kernels/geglu_cpu.h"

namespace sdtune {

namespace {

struct Gaussian {
  float cumulative;  // Φ(u), so that gelu(u) = u·Φ(u)
  float density;     // φ(u)
};

// Φ and φ share one exponential: Φ(-|u|) = φ(u)·t·P(t)·√(2π) with t = 1/(1 + 0.2316 |u|), the form
// of Abramowitz and Stegun 26.2.17, with a longer P fitted for a relative error of 1.3e-7 in the
// tail.
SDTUNE_INLINE Gaussian gaussian(float u) {
  const float e = exp_of_negative(-0.5F * u * u);
  const float magnitude = __builtin_fabsf(u);
  const float t = 1.0F / (1.0F + 0.231641888F * magnitude);
  float p = -0.0708320704F;
  p = p * t + 0.249442487F;
  p = p * t - 0.204805482F;
  p = p * t + 0.228285825F;
  p = p * t + 0.0118557213F;
  p = p * t + 0.103199628F;
  p = p * t + 0.090324897F;
  p = p * t + 0.0925290481F;
  const float tail = p * t * e;
  return {u < 0 ? tail : 1.0F - tail, e * 0.39894228F};
}

template <class T>
SDTUNE_INLINE void forward_rows(const T* x, T* out, int64_t rows, int64_t d) {
  for (int64_t row = 0; row < rows; ++row) {
    const T* __restrict hidden = x + row * 2 * d;
    const T* __restrict gate = hidden + d;
    T* __restrict result = out + row * d;
    for (int64_t i = 0; i < d; ++i) {
      const float u = load(gate[i]);
      store(load(hidden[i]) * (u * gaussian(u).cumulative), result[i]);
    }
  }
}

template <class T>
SDTUNE_INLINE void backward_rows(const GegluBackward<T>& job) {
  const int64_t d = job.d;
  for (int64_t row = 0; row < job.rows; ++row) {
    const T* __restrict grad = job.grad + row * d;
    const T* __restrict hidden = job.x + row * 2 * d;
    const T* __restrict gate = hidden + d;
    T* __restrict grad_hidden = job.grad_x + row * 2 * d;
    T* __restrict grad_gate = grad_hidden + d;
    for (int64_t i = 0; i < d; ++i) {
      const float g = load(grad[i]);
      const float u = load(gate[i]);
      const Gaussian at = gaussian(u);
      store(g * (u * at.cumulative), grad_hidden[i]);
      store(g * load(hidden[i]) * (at.cumulative + u * at.density), grad_gate[i]);
    }
  }
}

}  // namespace

SDTUNE_EACH_WIDTH void geglu_forward_cpu(const float* x, float* out, int64_t rows, int64_t d) {
  forward_rows(x, out, rows, d);
}

SDTUNE_EACH_WIDTH void geglu_forward_cpu(const BFloat16Bits* x, BFloat16Bits* out, int64_t rows,
                                         int64_t d) {
  forward_rows(x, out, rows, d);
}

SDTUNE_EACH_WIDTH void geglu_forward_cpu(const HalfBits* x, HalfBits* out, int64_t rows,
                                         int64_t d) {
  forward_rows(x, out, rows, d);
}

SDTUNE_EACH_WIDTH void geglu_backward_cpu(const GegluBackward<float>& job) { backward_rows(job); }

SDTUNE_EACH_WIDTH void geglu_backward_cpu(const GegluBackward<BFloat16Bits>& job) {
  backward_rows(job);
}

SDTUNE_EACH_WIDTH void geglu_backward_cpu(const GegluBackward<HalfBits>& job) {
  backward_rows(job);
}

}  // namespace sdtune
