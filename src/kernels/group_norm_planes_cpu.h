// Group norm's arithmetic on the CPU over contiguous pictures, for one channel of one picture: a
// plane of `count` values. It takes pointers and sizes and never includes torch. Not threaded:
// group_norm_planes.cc splits the groups.
#pragma once

#include "kernels/cpu_loops.h"

namespace sdtune {

// Sums over any number of values, in fp32 over short runs that are joined in double.
double sum_of_plane(const float* x, int64_t count);
double sum_of_plane(const BFloat16Bits* x, int64_t count);
double squares_of_plane(const float* x, int64_t count, float mean);  // of x - mean
double squares_of_plane(const BFloat16Bits* x, int64_t count, float mean);

// out = x·scale + shift, then silu where it is asked for; out may be x.
template <class T>
struct PlaneForward {
  const T* x;
  T* out;
  int64_t count;
  float scale, shift;
  bool silu;
};
void run_plane(const PlaneForward<float>& job);
void run_plane(const PlaneForward<BFloat16Bits>& job);

// The gradient of z = x·scale + shift behind the silu, into grad_z, and its sums, alone and times
// x̂ = (x - mean)·inverse.
template <class T>
struct PlaneBackward {
  const T* x;
  const T* grad;  // of the result
  float* grad_z;
  int64_t count;
  float scale, shift;
  float mean, inverse;
  bool silu;
};
struct PlaneSums {
  double grad = 0;
  double grad_x_hat = 0;
};
PlaneSums run_plane(const PlaneBackward<float>& job);
PlaneSums run_plane(const PlaneBackward<BFloat16Bits>& job);

// grad_x = scale·grad_z - (base + slope·x).
template <class T>
struct PlaneGradient {
  const T* x;
  const float* grad_z;
  T* grad_x;
  int64_t count;
  float scale, base, slope;
};
void run_plane(const PlaneGradient<float>& job);
void run_plane(const PlaneGradient<BFloat16Bits>& job);

}  // namespace sdtune
