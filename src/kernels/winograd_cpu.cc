#include "kernels/winograd_cpu.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu_loops.h"

namespace sdtune {

namespace {

// A picture with a border of 0, whose even and odd pixels of a row stand apart: tile i takes
// even[i], odd[i], even[i + 1] and odd[i + 1].
class SplitRows {
 public:
  explicit SplitRows(const WinogradPlane& plane)
      : half_(plane.tiles_right() + 1), values_((2 * plane.tiles_down() + 2) * 2 * half_, 0.0F) {}

  // What these rows of tiles and their borders take of a picture.
  SDTUNE_INLINE void fill(const WinogradPlane& plane, const TileRows& tiles, const float* picture) {
    const int64_t odds = (plane.width + 1) / 2, evens = plane.width / 2;
    const int64_t begin = std::max<int64_t>(0, 2 * tiles.begin - 1);
    const int64_t end = std::min(plane.height, 2 * tiles.end + 1);
    for (int64_t y = begin; y < end; ++y) {
      const float* __restrict from = picture + y * plane.width;
      float* __restrict even = values_.data() + (y + 1) * 2 * half_ + 1;
      float* __restrict odd = even + half_ - 1;
      for (int64_t i = 0; i < evens; ++i) {
        odd[i] = from[2 * i];
        even[i] = from[2 * i + 1];
      }
      if (odds > evens) odd[evens] = from[2 * evens];
    }
  }

  const float* even(int64_t row) const { return values_.data() + row * 2 * half_; }
  const float* odd(int64_t row) const { return even(row) + half_; }

 private:
  int64_t half_;
  std::vector<float> values_;
};

// One row of tiles of one channel: B'dB.
SDTUNE_INLINE void tile_row(const SplitRows& rows, int64_t first, int64_t count, float* to,
                            int64_t matrix_size) {
  for (int64_t k = 0; k < 4; ++k) {
    // B' mixes rows 0 and 2, 1 and 2, 2 and 1, 1 and 3.
    const int64_t a = first + (k == 0 ? 0 : k == 2 ? 2 : 1);
    const int64_t b = first + (k == 3 ? 3 : k == 2 ? 1 : 2);
    const float sign = k == 1 ? 1.0F : -1.0F;
    const float* __restrict even_a = rows.even(a);
    const float* __restrict even_b = rows.even(b);
    const float* __restrict odd_a = rows.odd(a);
    const float* __restrict odd_b = rows.odd(b);
    float* __restrict out0 = to + 4 * k * matrix_size;
    float* __restrict out1 = out0 + matrix_size;
    float* __restrict out2 = out1 + matrix_size;
    float* __restrict out3 = out2 + matrix_size;
    for (int64_t i = 0; i < count; ++i) {
      const float t0 = even_a[i] + sign * even_b[i], t1 = odd_a[i] + sign * odd_b[i];
      const float t2 = even_a[i + 1] + sign * even_b[i + 1];
      const float t3 = odd_a[i + 1] + sign * odd_b[i + 1];
      out0[i] = t0 - t2;
      out1[i] = t1 + t2;
      out2[i] = t2 - t1;
      out3[i] = t1 - t3;
    }
  }
}

// Two rows of a picture out of one row of tiles: A'mA.
SDTUNE_INLINE void picture_rows(const float* from, int64_t matrix_size, int64_t count,
                                float* rows) {
  for (int64_t half = 0; half < 2; ++half) {
    float* __restrict to = rows + half * 2 * count;
    const float* __restrict m = from + 4 * half * matrix_size;
    const float second = half == 0 ? 1.0F : -1.0F;
    for (int64_t i = 0; i < count; ++i) {
      float s[4];
      for (int64_t k = 0; k < 4; ++k) {
        const float* column = m + k * matrix_size + i;
        s[k] = column[0] + second * column[4 * matrix_size] + second * column[8 * matrix_size];
      }
      to[2 * i] = s[0] + s[1] + s[2];
      to[2 * i + 1] = s[1] - s[2] - s[3];
    }
  }
}

// One row of tiles out of two rows of a picture: AyA'.
SDTUNE_INLINE void gradient_tile_row(const SplitRows& rows, int64_t first, int64_t count, float* to,
                                     int64_t matrix_size) {
  for (int64_t k = 0; k < 4; ++k) {
    // A takes the upper row, both, their difference, and the lower one's opposite.
    const float upper = k == 3 ? 0.0F : 1.0F, lower = k == 0 ? 0.0F : k == 1 ? 1.0F : -1.0F;
    const float* __restrict left_a = rows.odd(first + 1);
    const float* __restrict left_b = rows.odd(first + 2);
    const float* __restrict right_a = rows.even(first + 1) + 1;
    const float* __restrict right_b = rows.even(first + 2) + 1;
    float* __restrict out0 = to + 4 * k * matrix_size;
    float* __restrict out1 = out0 + matrix_size;
    float* __restrict out2 = out1 + matrix_size;
    float* __restrict out3 = out2 + matrix_size;
    for (int64_t i = 0; i < count; ++i) {
      const float left = upper * left_a[i] + lower * left_b[i];
      const float right = upper * right_a[i] + lower * right_b[i];
      out0[i] = left;
      out1[i] = left + right;
      out2[i] = left - right;
      out3[i] = -right;
    }
  }
}

}  // namespace

SDTUNE_EACH_WIDTH void winograd_tiles(const WinogradPlane& plane, const TileRows& rows,
                                      const float* pictures, int64_t channels,
                                      const SixteenMatrices<float>& tiles) {
  SplitRows split(plane);
  const int64_t count = plane.tiles_right();
  for (int64_t channel = 0; channel < channels; ++channel) {
    split.fill(plane, rows, pictures + channel * plane.pixels());
    float* to = tiles.data + channel * tiles.row_size;
    for (int64_t down = rows.begin; down < rows.end; ++down, to += count) {
      tile_row(split, 2 * down, count, to, tiles.matrix_size);
    }
  }
}

SDTUNE_EACH_WIDTH void winograd_gradient_tiles(const WinogradPlane& plane, const TileRows& rows,
                                               const float* pictures, int64_t channels,
                                               const SixteenMatrices<float>& tiles) {
  SplitRows split(plane);
  const int64_t count = plane.tiles_right();
  for (int64_t channel = 0; channel < channels; ++channel) {
    split.fill(plane, rows, pictures + channel * plane.pixels());
    float* to = tiles.data + channel * tiles.row_size;
    for (int64_t down = rows.begin; down < rows.end; ++down, to += count) {
      gradient_tile_row(split, 2 * down, count, to, tiles.matrix_size);
    }
  }
}

SDTUNE_EACH_WIDTH void winograd_pictures(const WinogradPlane& plane, const TileRows& rows,
                                         const SixteenMatrices<const float>& products,
                                         int64_t channels, float* pictures) {
  const int64_t count = plane.tiles_right();
  std::vector<float> pair(4 * count);
  for (int64_t channel = 0; channel < channels; ++channel) {
    const float* from = products.data + channel * products.row_size;
    float* picture = pictures + channel * plane.pixels();
    for (int64_t down = rows.begin; down < rows.end; ++down, from += count) {
      picture_rows(from, products.matrix_size, count, pair.data());
      const int64_t height = std::min<int64_t>(2, plane.height - 2 * down);
      for (int64_t row = 0; row < height; ++row) {
        std::copy_n(pair.data() + row * 2 * count, plane.width,
                    picture + (2 * down + row) * plane.width);
      }
    }
  }
}

SDTUNE_EACH_WIDTH void winograd_kernels(const float* kernels, int64_t count, bool flipped,
                                        const SixteenMatrices<float>& row) {
  const int64_t size = row.matrix_size;
  float* __restrict out = row.data;
  const int64_t first = flipped ? 8 : 0, step = flipped ? -1 : 1;
  for (int64_t i = 0; i < count; ++i) {
    const float* g = kernels + 9 * i + first;
    float t[4][3];  // Gg
    for (int64_t c = 0; c < 3; ++c) {
      const float g0 = g[c * step], g1 = g[(3 + c) * step], g2 = g[(6 + c) * step];
      t[0][c] = g0;
      t[1][c] = 0.5F * (g0 + g1 + g2);
      t[2][c] = 0.5F * (g0 - g1 + g2);
      t[3][c] = g2;
    }
    for (int64_t r = 0; r < 4; ++r) {
      out[(4 * r) * size + i] = t[r][0];
      out[(4 * r + 1) * size + i] = 0.5F * (t[r][0] + t[r][1] + t[r][2]);
      out[(4 * r + 2) * size + i] = 0.5F * (t[r][0] - t[r][1] + t[r][2]);
      out[(4 * r + 3) * size + i] = t[r][2];
    }
  }
}

SDTUNE_EACH_WIDTH void winograd_kernel_gradients(const SixteenMatrices<const float>& row,
                                                 int64_t count, float* kernels) {
  const int64_t size = row.matrix_size;
  for (int64_t i = 0; i < count; ++i) {
    const float* __restrict u = row.data + i;
    float t[3][4];  // G'u
    for (int64_t c = 0; c < 4; ++c) {
      const float u1 = 0.5F * u[(4 + c) * size], u2 = 0.5F * u[(8 + c) * size];
      t[0][c] = u[c * size] + u1 + u2;
      t[1][c] = u1 - u2;
      t[2][c] = u1 + u2 + u[(12 + c) * size];
    }
    float* __restrict g = kernels + 9 * i;
    for (int64_t r = 0; r < 3; ++r) {
      const float t1 = 0.5F * t[r][1], t2 = 0.5F * t[r][2];
      g[3 * r] = t[r][0] + t1 + t2;
      g[3 * r + 1] = t1 - t2;
      g[3 * r + 2] = t1 + t2 + t[r][3];
    }
  }
}

}  // namespace sdtune
