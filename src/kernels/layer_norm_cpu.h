// Layer norm's arithmetic on the CPU, for a block of rows. It takes pointers and sizes and never
// includes torch. Not threaded: layer_norm.cc splits the rows.
#pragma once

#include "kernels/cpu_loops.h"

namespace sdtune {

// out = (x - mean)·inverse·weight + bias, mean and deviation being each row's.
template <class T>
struct LayerNormForward {
  const T* x;           // [rows, width]
  T* out;               // [rows, width]
  const float* weight;  // [width]
  const float* bias;    // [width]
  int64_t rows;
  int64_t width;
  float eps;
};
void run_rows(const LayerNormForward<float>& job);
void run_rows(const LayerNormForward<BFloat16Bits>& job);

// grad_x is written, what the rows bring to the gradients of weight and bias is added.
template <class T>
struct LayerNormBackward {
  const T* x;           // [rows, width]
  const T* grad;        // [rows, width], of the result
  T* grad_x;            // [rows, width]
  const float* weight;  // [width]
  float* grad_weight;   // [width]
  float* grad_bias;     // [width]
  int64_t rows;
  int64_t width;
  float eps;
};
void run_rows(const LayerNormBackward<float>& job);
void run_rows(const LayerNormBackward<BFloat16Bits>& job);

}  // namespace sdtune
