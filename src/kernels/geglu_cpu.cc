#include "kernels/geglu_cpu.h"

// Every loop below is compiled once for each vector width and chosen when the program is loaded.
// What they call must be inlined into them, or it would be compiled for the narrowest one only.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__)
#define SDTUNE_EACH_WIDTH \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SDTUNE_EACH_WIDTH
#endif
#define SDTUNE_INLINE inline __attribute__((always_inline))

namespace sdtune {

namespace {

template <class To, class From>
SDTUNE_INLINE To bits_as(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To result;
  __builtin_memcpy(&result, &value, sizeof(result));
  return result;
}

SDTUNE_INLINE float load(float value) { return value; }
SDTUNE_INLINE void store(float value, float& out) { out = value; }

SDTUNE_INLINE float load(BFloat16Bits value) {
  return bits_as<float>(static_cast<uint32_t>(value.bits) << 16);
}

SDTUNE_INLINE void store(float value, BFloat16Bits& out) {
  const uint32_t bits = bits_as<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;  // to nearest, ties to even
  out.bits = static_cast<uint16_t>(value != value ? 0x7FC0 : rounded);
}

SDTUNE_INLINE float load(HalfBits value) {
  const uint32_t magnitude = static_cast<uint32_t>(value.bits & 0x7FFF) << 13;
  // The exponent's bias differs by 112; the multiplication also makes subnormal halves normal.
  const float scaled = bits_as<float>(magnitude) * 0x1p112F;
  const uint32_t infinite = magnitude >= 0x0F800000 ? 0x7F800000 : 0;
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000) << 16;
  return bits_as<float>(bits_as<uint32_t>(scaled) | infinite | sign);
}

SDTUNE_INLINE void store(float value, HalfBits& out) {
  const uint32_t bits = bits_as<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  // Below 2^-14 the half is subnormal: adding 0.5 makes the addition round at the half's last bit.
  const uint32_t subnormal = bits_as<uint32_t>(bits_as<float>(magnitude) + 0.5F) - 0x3F000000;
  const uint32_t normal = (magnitude + 0xFFF + ((magnitude >> 13) & 1) - 0x38000000) >> 13;
  uint32_t half = magnitude < 0x38800000 ? subnormal : normal;
  half = magnitude >= 0x477FF000 ? 0x7C00 : half;  // 65520 and above round to infinity
  half = magnitude > 0x7F800000 ? 0x7E00 : half;
  out.bits = static_cast<uint16_t>(half | sign);
}

// e^y for y <= 0, held at the smallest normal floats below -87.3. Relative error under 2e-7.
SDTUNE_INLINE float exp_of_negative(float y) {
  y = y < -87.3F ? -87.3F : y;
  constexpr float kRounder = 0x1.8p23F;  // adding and taking it away rounds to an integer
  const float n = (y * 1.44269504F + kRounder) - kRounder;
  const float r = (y - n * 0.693359375F) + n * 2.12194440e-4F;  // y - n·ln 2, in two parts
  float p = 1.9875691e-4F;                                      // Cephes' expf
  p = p * r + 1.3981999e-3F;
  p = p * r + 8.3334519e-3F;
  p = p * r + 4.1665796e-2F;
  p = p * r + 1.6666665e-1F;
  p = p * r + 5.0000001e-1F;
  p = p * r * r + r + 1.0F;
  return p * bits_as<float>(static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23);
}

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
