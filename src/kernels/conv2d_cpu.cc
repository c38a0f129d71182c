#include "kernels/conv2d_cpu.h"

#include <algorithm>
#include <vector>

namespace sdtune {

namespace {

struct Range {
  int64_t begin, end;
};

// The pixels of the result, of `out_size` in a row, from which a tap sees one of `size` pixels of
// the input.
SDTUNE_INLINE Range seeing(const Conv2dPlane& plane, int64_t tap, int64_t size, int64_t out_size) {
  const int64_t shift = plane.padding - tap;  // pixel i sees i·stride - shift
  const int64_t begin = shift > 0 ? (shift + plane.stride - 1) / plane.stride : 0;
  const int64_t last = size - 1 + shift;
  const int64_t end = last < 0 ? 0 : std::min(out_size, last / plane.stride + 1);
  return {std::min(begin, end), end};
}

template <class T>
SDTUNE_INLINE void gather_tap(const Conv2dPlane& plane, const T* image, int64_t tap, T* column) {
  const int64_t down = tap / plane.kernel, right = tap % plane.kernel;
  const Range rows = seeing(plane, down, plane.height, plane.out_height);
  const Range pixels = seeing(plane, right, plane.width, plane.out_width);
  const int64_t width = plane.out_width, stride = plane.stride;
  std::fill_n(column, rows.begin * width, T{});
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const T* from = image + (row * stride - plane.padding + down) * plane.width;
    T* to = column + row * width;
    std::fill_n(to, pixels.begin, T{});
    if (stride == 1) {
      const int64_t shift = right - plane.padding;
      for (int64_t i = pixels.begin; i < pixels.end; ++i) to[i] = from[i + shift];
    } else {
      const int64_t shift = right - plane.padding;
      for (int64_t i = pixels.begin; i < pixels.end; ++i) to[i] = from[i * stride + shift];
    }
    std::fill_n(to + pixels.end, width - pixels.end, T{});
  }
  std::fill_n(column + rows.end * width, (plane.out_height - rows.end) * width, T{});
}

template <class T>
SDTUNE_INLINE void gather(const Conv2dPlane& plane, const T* picture, int64_t channels, T* columns,
                          int64_t row_size) {
  for (int64_t channel = 0; channel < channels; ++channel) {
    const T* image = picture + channel * plane.pixels();
    for (int64_t tap = 0; tap < plane.taps(); ++tap) {
      gather_tap(plane, image, tap, columns + (channel * plane.taps() + tap) * row_size);
    }
  }
}

// Adds what the taps of one row of the kernel bring to one row of the picture.
template <class T>
SDTUNE_INLINE void add_row(const Conv2dPlane& plane, const T* columns, int64_t row_size,
                           float* sums) {
  for (int64_t right = 0; right < plane.kernel; ++right) {
    const Range pixels = seeing(plane, right, plane.width, plane.out_width);
    const T* from = columns + right * row_size;
    const int64_t shift = right - plane.padding;
    if (plane.stride == 1) {
      for (int64_t i = pixels.begin; i < pixels.end; ++i) sums[i + shift] += load(from[i]);
    } else {
      for (int64_t i = pixels.begin; i < pixels.end; ++i) {
        sums[i * plane.stride + shift] += load(from[i]);
      }
    }
  }
}

template <class T>
SDTUNE_INLINE void sum(const Conv2dPlane& plane, const T* columns, int64_t row_size, T* picture,
                       int64_t channels) {
  std::vector<float> sums(plane.width);
  for (int64_t channel = 0; channel < channels; ++channel) {
    const T* taps = columns + channel * plane.taps() * row_size;
    T* image = picture + channel * plane.pixels();
    for (int64_t y = 0; y < plane.height; ++y) {
      std::fill(sums.begin(), sums.end(), 0.0F);
      for (int64_t down = 0; down < plane.kernel; ++down) {
        const int64_t above = y + plane.padding - down;  // the result's row times the stride
        if (above < 0 || above % plane.stride != 0) continue;
        const int64_t row = above / plane.stride;
        if (row >= plane.out_height) continue;
        add_row(plane, taps + down * plane.kernel * row_size + row * plane.out_width, row_size,
                sums.data());
      }
      for (int64_t x = 0; x < plane.width; ++x) store(sums[x], image[y * plane.width + x]);
    }
  }
}

}  // namespace

SDTUNE_EACH_WIDTH void gather_columns(const Conv2dPlane& plane, const float* picture,
                                      int64_t channels, float* columns, int64_t row_size) {
  gather(plane, picture, channels, columns, row_size);
}

SDTUNE_EACH_WIDTH void gather_columns(const Conv2dPlane& plane, const BFloat16Bits* picture,
                                      int64_t channels, BFloat16Bits* columns, int64_t row_size) {
  gather(plane, picture, channels, columns, row_size);
}

SDTUNE_EACH_WIDTH void sum_columns(const Conv2dPlane& plane, const float* columns, int64_t row_size,
                                   float* picture, int64_t channels) {
  sum(plane, columns, row_size, picture, channels);
}

SDTUNE_EACH_WIDTH void sum_columns(const Conv2dPlane& plane, const BFloat16Bits* columns,
                                   int64_t row_size, BFloat16Bits* picture, int64_t channels) {
  sum(plane, columns, row_size, picture, channels);
}

}  // namespace sdtune
