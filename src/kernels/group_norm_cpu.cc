#include "kernels/group_norm_cpu.h"

#include "kernels/cpu_lanes.h"

namespace sdtune {

namespace {

template <class T>
SDTUNE_INLINE void add_block(const T* x, int64_t pixels, int64_t channels, double* sum,
                             double* square) {
  int64_t c = 0;
  for (; c + kDoubles <= channels; c += kDoubles) {
    Doubles sums = {}, squares = {};
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      const Doubles values = load_doubles(x + pixel * channels + c);
      sums += values;
      squares += values * values;
    }
    for (int i = 0; i < kDoubles; ++i) {
      sum[c + i] += sums[i];
      square[c + i] += squares[i];
    }
  }
  for (; c < channels; ++c) {
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      const double value = load(x[pixel * channels + c]);
      sum[c] += value;
      square[c] += value * value;
    }
  }
}

// Blocks of pixels stay in the processor's cache over the walk along the channels.
template <class T>
SDTUNE_INLINE void add_moments(const T* x, int64_t pixels, int64_t channels, double* sum,
                               double* square) {
  constexpr int64_t kBlock = 16;
  for (int64_t pixel = 0; pixel < pixels; pixel += kBlock) {
    const int64_t count = pixel + kBlock < pixels ? kBlock : pixels - pixel;
    add_block(x + pixel * channels, count, channels, sum, square);
  }
}

template <bool kSilu>
SDTUNE_INLINE Floats changed(Floats x, const float* scale, const float* shift) {
  const Floats y = x * load_lanes(scale) + load_lanes(shift);
  return kSilu ? y / (1.0F + exp_of(-y)) : y;
}

template <bool kSilu, class T>
SDTUNE_INLINE void scale_rows(const ScaleShift<T>& job) {
  const int64_t whole = job.channels / kLanes * kLanes;
  const int64_t rest = job.channels - whole;
  for (int64_t pixel = 0; pixel < job.pixels; ++pixel) {
    const T* row = job.x + pixel * job.channels;
    T* out = job.out + pixel * job.channels;
    for (int64_t c = 0; c < whole; c += kLanes) {
      store_lanes(changed<kSilu>(load_lanes(row + c), job.scale + c, job.shift + c), out + c);
    }
    if (rest == 0) continue;
    T last[kLanes] = {};
    float scale[kLanes] = {}, shift[kLanes] = {};
    for (int64_t i = 0; i < rest; ++i) {
      last[i] = row[whole + i];
      scale[i] = job.scale[whole + i];
      shift[i] = job.shift[whole + i];
    }
    store_lanes(changed<kSilu>(load_lanes(last), scale, shift), last);
    for (int64_t i = 0; i < rest; ++i) out[whole + i] = last[i];
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
