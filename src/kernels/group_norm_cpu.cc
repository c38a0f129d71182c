#include "kernels/group_norm_cpu.h"

namespace sdtune {

namespace {

template <class T>
SDTUNE_INLINE void add_moments(const T* x, int64_t pixels, int64_t channels, double* __restrict sum,
                               double* __restrict square) {
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    const T* __restrict row = x + pixel * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const double value = load(row[c]);
      sum[c] += value;
      square[c] += value * value;
    }
  }
}

SDTUNE_INLINE float silu(float y) {
  const float e = exp_of_negative(-__builtin_fabsf(y));
  return y * ((y < 0 ? e : 1.0F) / (1.0F + e));
}

template <bool kSilu, class T>
SDTUNE_INLINE void scale_rows(const ScaleShift<T>& job) {
  const float* __restrict scale = job.scale;
  const float* __restrict shift = job.shift;
  for (int64_t pixel = 0; pixel < job.pixels; ++pixel) {
    const T* row = job.x + pixel * job.channels;
    T* out = job.out + pixel * job.channels;
#pragma GCC ivdep  // out is x or apart from it
    for (int64_t c = 0; c < job.channels; ++c) {
      const float y = load(row[c]) * scale[c] + shift[c];
      store(kSilu ? silu(y) : y, out[c]);
    }
  }
}

template <class T>
SDTUNE_INLINE void scale_all(const ScaleShift<T>& job) {
  if (job.silu) {
    scale_rows<true>(job);
  } else {
    scale_rows<false>(job);
  }
}

}  // namespace

SDTUNE_EACH_WIDTH void add_channel_moments(const float* x, int64_t pixels, int64_t channels,
                                           double* sum, double* square) {
  add_moments(x, pixels, channels, sum, square);
}

SDTUNE_EACH_WIDTH void add_channel_moments(const BFloat16Bits* x, int64_t pixels, int64_t channels,
                                           double* sum, double* square) {
  add_moments(x, pixels, channels, sum, square);
}

SDTUNE_EACH_WIDTH void scale_and_shift(const ScaleShift<float>& job) { scale_all(job); }

SDTUNE_EACH_WIDTH void scale_and_shift(const ScaleShift<BFloat16Bits>& job) { scale_all(job); }

}  // namespace sdtune
