// The three products of a convolution on the CPU by each way of its own: over columns
// (conv2d_columns.cc), where each product is one GEMM, and Winograd's (conv2d_winograd.cc), where
// it is 16 GEMMs of a quarter of the pixels. Columns and tiles live for one product only. Not the
// choice (conv2d.h) and not the loops (conv2d_cpu.h, winograd_cpu.h).
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/conv2d.h"

namespace sdtune {

// What a convolution's backward pass has at hand.
struct Conv2dBackward {
  const at::Tensor& grad;    // [B, out, H', W']
  const at::Tensor& x;       // [B, in, H, W]
  const at::Tensor& weight;  // [out, in, k, k]
  int64_t stride;
  int64_t padding;
};

// All take dense NCHW tensors of one type that are not empty. Results: [B, out, H', W'], and
// gradients as x and as weight.

// fp32 and bf16; any square kernel, stride and padding.
at::Tensor conv2d_by_columns(const Conv2dCall& call);
at::Tensor conv2d_input_gradient_by_columns(const Conv2dBackward& call);
at::Tensor conv2d_weight_gradient_by_columns(const Conv2dBackward& call);

// fp32; kernels of 3x3, stride 1 and padding 1.
at::Tensor conv2d_by_winograd(const Conv2dCall& call);
at::Tensor conv2d_input_gradient_by_winograd(const Conv2dBackward& call);
at::Tensor conv2d_weight_gradient_by_winograd(const Conv2dBackward& call);

// Rows of tiles, so many in each, whose tiles and products exist at once.
int64_t winograd_rows_at_once(int64_t in, int64_t out, int64_t tiles_right);

}  // namespace sdtune
