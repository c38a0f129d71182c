// Group norm's arithmetic on the CPU over pictures with channels last, for a block of pixels. It
// takes pointers and sizes and never includes torch. Not threaded: group_norm.cc splits the pixels.
#pragma once

#include "kernels/cpu_loops.h"

namespace sdtune {

// Adds each channel's values and squares over `pixels` rows of x [pixels, channels] to sum and
// square [channels]. In double, where a product of two floats is exact: the variance of a channel
// far from zero keeps its digits.
void add_channel_moments(const float* x, int64_t pixels, int64_t channels, double* sum,
                         double* square);
void add_channel_moments(const BFloat16Bits* x, int64_t pixels, int64_t channels, double* sum,
                         double* square);

// out = x·scale + shift for each channel, then silu where it is asked for; out may be x.
template <class T>
struct ScaleShift {
  const T* x;          // [pixels, channels]
  T* out;              // [pixels, channels]
  const float* scale;  // [channels]
  const float* shift;  // [channels]
  int64_t pixels;
  int64_t channels;
  bool silu;
};
void scale_and_shift(const ScaleShift<float>& job);
void scale_and_shift(const ScaleShift<BFloat16Bits>& job);

}  // namespace sdtune
