// The CPU's loops of a convolution that runs as one GEMM: pictures to columns, and gradients of
// columns back to pictures. Pointers and sizes, no torch; the widest vectors the processor has. Not
// threaded: conv2d.cc splits the channels.
#pragma once

#include <cstdint>

#include "kernels/cpu_loops.h"

namespace sdtune {

// A square kernel with the same padding on all sides.
struct Conv2dPlane {
  int64_t height, width;          // of the input
  int64_t out_height, out_width;  // of the result
  int64_t kernel, stride, padding;

  int64_t pixels() const { return height * width; }
  int64_t out_pixels() const { return out_height * out_width; }
  int64_t taps() const { return kernel * kernel; }
};

// For each channel of a picture [channels, H, W] and each tap of the kernel, in that order, one row
// of columns, `row_size` elements after the one before: what that tap sees from each pixel of the
// result, 0 where it sees the padding. columns: [channels·kernel², H'·W' of row_size].
void gather_columns(const Conv2dPlane& plane, const float* picture, int64_t channels,
                    float* columns, int64_t row_size);
void gather_columns(const Conv2dPlane& plane, const BFloat16Bits* picture, int64_t channels,
                    BFloat16Bits* columns, int64_t row_size);

// The other way: each pixel of the picture becomes the sum of all columns that saw it, added in
// fp32.
void sum_columns(const Conv2dPlane& plane, const float* columns, int64_t row_size, float* picture,
                 int64_t channels);
void sum_columns(const Conv2dPlane& plane, const BFloat16Bits* columns, int64_t row_size,
                 BFloat16Bits* picture, int64_t channels);

}  // namespace sdtune
