// GEGLU's arithmetic on the CPU, for a block of rows. It takes pointers and sizes and never
// includes torch, and it picks the widest vectors the processor has. Not threaded: geglu.cc splits
// the rows.
#pragma once

#include <cstdint>

#include "kernels/cpu_loops.h"

namespace sdtune {

// x: [rows, 2·d]; out: [rows, d]. All rows are dense.
void geglu_forward_cpu(const float* x, float* out, int64_t rows, int64_t d);
void geglu_forward_cpu(const BFloat16Bits* x, BFloat16Bits* out, int64_t rows, int64_t d);
void geglu_forward_cpu(const HalfBits* x, HalfBits* out, int64_t rows, int64_t d);

// x, grad_x: [rows, 2·d]; grad: [rows, d].
template <class T>
struct GegluBackward {
  const T* grad;
  const T* x;
  T* grad_x;
  int64_t rows;
  int64_t d;
};
void geglu_backward_cpu(const GegluBackward<float>& job);
void geglu_backward_cpu(const GegluBackward<BFloat16Bits>& job);
void geglu_backward_cpu(const GegluBackward<HalfBits>& job);

}  // namespace sdtune
