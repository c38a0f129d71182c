#include "kernels/winograd_cpu.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu_lanes.h"

namespace sdtune {

namespace {

// Of two vectors side by side: the numbers at even and at odd places, and both numbers of each
// place in turn, for the first and the second half of them.
constexpr Places kEvenLanes = {0, 2, 4, 6, 8, 10, 12, 14}, kOddLanes = {1, 3, 5, 7, 9, 11, 13, 15};
constexpr Places kFirstPairs = {0, 8, 1, 9, 2, 10, 3, 11},
                 kLastPairs = {4, 12, 5, 13, 6, 14, 7, 15};

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
      int64_t i = 0;
      for (; i + kLanes <= evens; i += kLanes) {
        const Floats left = load_lanes(from + 2 * i), right = load_lanes(from + 2 * i + kLanes);
        store_lanes(__builtin_shuffle(left, right, kEvenLanes), odd + i);
        store_lanes(__builtin_shuffle(left, right, kOddLanes), even + i);
      }
      for (; i < evens; ++i) {
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

// Where a vector begins so that it does not end behind the last of `count` numbers: there some are
// computed twice, which is faster than number by number.
SDTUNE_INLINE int64_t whole_vector_at(int64_t next, int64_t count) {
  return count < kLanes ? next : std::min(next, count - kLanes);
}

// One row of tiles of one channel: B'dB.
SDTUNE_INLINE void tile_row(const SplitRows& rows, int64_t first, int64_t count, float* to,
                            int64_t matrix_size) {
  for (int64_t next = 0; next < count; next += kLanes) {
    const int64_t i = whole_vector_at(next, count), left = count - i;
    Floats d[4][4];
    for (int r = 0; r < 4; ++r) {
      const float* even = rows.even(first + r) + i;
      const float* odd = rows.odd(first + r) + i;
      d[r][0] = load_lanes(even, left);
      d[r][1] = load_lanes(odd, left);
      d[r][2] = load_lanes(even + 1, left);
      d[r][3] = load_lanes(odd + 1, left);
    }
    Floats t[4][4];  // B'd
    for (int c = 0; c < 4; ++c) {
      t[0][c] = d[0][c] - d[2][c];
      t[1][c] = d[1][c] + d[2][c];
      t[2][c] = d[2][c] - d[1][c];
      t[3][c] = d[1][c] - d[3][c];
    }
    float* out = to + i;
    for (int r = 0; r < 4; ++r, out += 4 * matrix_size) {
      store_lanes(t[r][0] - t[r][2], out, left);
      store_lanes(t[r][1] + t[r][2], out + matrix_size, left);
      store_lanes(t[r][2] - t[r][1], out + 2 * matrix_size, left);
      store_lanes(t[r][1] - t[r][3], out + 3 * matrix_size, left);
    }
  }
}

// Two rows of a picture out of one row of tiles, A'mA. rows: [2, row_size], of which whole vectors
// are written.
SDTUNE_INLINE void picture_rows(const SixteenMatrices<const float>& products, int64_t count,
                                float bias, float* rows, int64_t row_size) {
  for (int64_t next = 0; next < count; next += kLanes) {
    const int64_t i = whole_vector_at(next, count);
    Floats s[2][4];  // A'm
    for (int c = 0; c < 4; ++c) {
      Floats m[4];
      for (int r = 0; r < 4; ++r) {
        m[r] = load_lanes(products.data + (4 * r + c) * products.matrix_size + i, count - i);
      }
      s[0][c] = m[0] + m[1] + m[2];
      s[1][c] = m[1] - m[2] - m[3];
    }
    for (int half = 0; half < 2; ++half) {
      const Floats left = s[half][0] + s[half][1] + s[half][2] + bias;
      const Floats right = s[half][1] - s[half][2] - s[half][3] + bias;
      float* to = rows + half * row_size + 2 * i;
      store_lanes(__builtin_shuffle(left, right, kFirstPairs), to);
      store_lanes(__builtin_shuffle(left, right, kLastPairs), to + kLanes);
    }
  }
}

// One row of tiles out of two rows of a picture: AyA'.
SDTUNE_INLINE void gradient_tile_row(const SplitRows& rows, int64_t first, int64_t count, float* to,
                                     int64_t matrix_size) {
  for (int64_t next = 0; next < count; next += kLanes) {
    const int64_t i = whole_vector_at(next, count), rest = count - i;
    const Floats zero = {};
    Floats y[4][2];  // Ay
    for (int c = 0; c < 2; ++c) {
      const float* from = c == 0 ? rows.odd(first + 1) : rows.even(first + 1) + 1;
      const float* below = c == 0 ? rows.odd(first + 2) : rows.even(first + 2) + 1;
      const Floats upper = load_lanes(from + i, rest), lower = load_lanes(below + i, rest);
      y[0][c] = upper;
      y[1][c] = upper + lower;
      y[2][c] = upper - lower;
      y[3][c] = zero - lower;
    }
    float* out = to + i;
    for (int r = 0; r < 4; ++r, out += 4 * matrix_size) {
      store_lanes(y[r][0], out, rest);
      store_lanes(y[r][0] + y[r][1], out + matrix_size, rest);
      store_lanes(y[r][0] - y[r][1], out + 2 * matrix_size, rest);
      store_lanes(zero - y[r][1], out + 3 * matrix_size, rest);
    }
  }
}

using MakeRow = void (*)(const SplitRows&, int64_t, int64_t, float*, int64_t);

template <MakeRow make_row>
SDTUNE_INLINE void all_rows(const WinogradPlane& plane, const TileRows& rows, const float* pictures,
                            int64_t channels, const SixteenMatrices<float>& tiles) {
  SplitRows split(plane);
  const int64_t count = plane.tiles_right();
  for (int64_t channel = 0; channel < channels; ++channel) {
    split.fill(plane, rows, pictures + channel * plane.pixels());
    float* to = tiles.data + channel * tiles.row_size;
    for (int64_t down = rows.begin; down < rows.end; ++down, to += count) {
      make_row(split, 2 * down, count, to, tiles.matrix_size);
    }
  }
}

constexpr int kTaps = 9;

// [count, 3, 3] to a row of kLanes numbers for each tap.
SDTUNE_INLINE void transpose_kernels(const float* kernels, int64_t count, float (*taps)[kLanes]) {
  for (int64_t lane = 0; lane < count; ++lane) {
    for (int tap = 0; tap < kTaps; ++tap) taps[tap][lane] = kernels[kTaps * lane + tap];
  }
}

// kLanes kernels that follow one another, or the last `count`, to one vector for each tap.
SDTUNE_INLINE void load_kernels(const float* kernels, int64_t count, bool flipped, Floats* taps) {
  float transposed[kTaps][kLanes] = {};
  if (count == kLanes) {
    transpose_kernels(kernels, kLanes, transposed);  // a loop of known length is twice as fast
  } else {
    transpose_kernels(kernels, count, transposed);
  }
  for (int tap = 0; tap < kTaps; ++tap) {
    taps[tap] = load_lanes(transposed[flipped ? kTaps - 1 - tap : tap]);
  }
}

SDTUNE_INLINE void store_kernels(const Floats* taps, int64_t count, float* kernels) {
  float transposed[kTaps][kLanes];
  for (int tap = 0; tap < kTaps; ++tap) store_lanes(taps[tap], transposed[tap]);
  for (int64_t lane = 0; lane < count; ++lane) {
    for (int tap = 0; tap < kTaps; ++tap) kernels[kTaps * lane + tap] = transposed[tap][lane];
  }
}

}  // namespace

SDTUNE_EACH_WIDTH void winograd_tiles(const WinogradPlane& plane, const TileRows& rows,
                                      const float* pictures, int64_t channels,
                                      const SixteenMatrices<float>& tiles) {
  all_rows<tile_row>(plane, rows, pictures, channels, tiles);
}

SDTUNE_EACH_WIDTH void winograd_gradient_tiles(const WinogradPlane& plane, const TileRows& rows,
                                               const float* pictures, int64_t channels,
                                               const SixteenMatrices<float>& tiles) {
  all_rows<gradient_tile_row>(plane, rows, pictures, channels, tiles);
}

SDTUNE_EACH_WIDTH void winograd_pictures(const WinogradPlane& plane, const TileRows& rows,
                                         const SixteenMatrices<const float>& products,
                                         int64_t channels, float* pictures, const float* bias) {
  const int64_t count = plane.tiles_right();
  const int64_t row_size = (2 * count + 2 * kLanes - 1) / (2 * kLanes) * (2 * kLanes);
  std::vector<float> pair(2 * row_size);
  for (int64_t channel = 0; channel < channels; ++channel) {
    const float* from = products.data + channel * products.row_size;
    float* picture = pictures + channel * plane.pixels();
    for (int64_t down = rows.begin; down < rows.end; ++down, from += count) {
      picture_rows({from, products.row_size, products.matrix_size}, count,
                   bias == nullptr ? 0.0F : bias[channel], pair.data(), row_size);
      const int64_t height = std::min<int64_t>(2, plane.height - 2 * down);
      for (int64_t row = 0; row < height; ++row) {
        std::copy_n(pair.data() + row * row_size, plane.width,
                    picture + (2 * down + row) * plane.width);
      }
    }
  }
}

SDTUNE_EACH_WIDTH void winograd_kernels(const float* kernels, int64_t count, bool flipped,
                                        const SixteenMatrices<float>& row) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t left = std::min<int64_t>(kLanes, count - i);
    Floats g[kTaps];
    load_kernels(kernels + kTaps * i, left, flipped, g);
    Floats t[4][3];  // Gg
    for (int c = 0; c < 3; ++c) {
      const Floats outer = g[c] + g[6 + c];
      t[0][c] = g[c];
      t[1][c] = 0.5F * (outer + g[3 + c]);
      t[2][c] = 0.5F * (outer - g[3 + c]);
      t[3][c] = g[6 + c];
    }
    float* out = row.data + i;
    for (int r = 0; r < 4; ++r, out += 4 * row.matrix_size) {
      const Floats outer = t[r][0] + t[r][2];
      store_lanes(t[r][0], out, left);
      store_lanes(0.5F * (outer + t[r][1]), out + row.matrix_size, left);
      store_lanes(0.5F * (outer - t[r][1]), out + 2 * row.matrix_size, left);
      store_lanes(t[r][2], out + 3 * row.matrix_size, left);
    }
  }
}

SDTUNE_EACH_WIDTH void winograd_kernel_gradients(const SixteenMatrices<const float>& row,
                                                 int64_t count, float* kernels) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t left = std::min<int64_t>(kLanes, count - i);
    Floats t[3][4];  // G'u
    for (int c = 0; c < 4; ++c) {
      Floats u[4];
      for (int r = 0; r < 4; ++r) {
        u[r] = load_lanes(row.data + (4 * r + c) * row.matrix_size + i, left);
      }
      const Floats u1 = 0.5F * u[1], u2 = 0.5F * u[2];
      t[0][c] = u[0] + u1 + u2;
      t[1][c] = u1 - u2;
      t[2][c] = u1 + u2 + u[3];
    }
    Floats g[kTaps];
    for (int r = 0; r < 3; ++r) {
      const Floats t1 = 0.5F * t[r][1], t2 = 0.5F * t[r][2];
      g[3 * r] = t[r][0] + t1 + t2;
      g[3 * r + 1] = t1 - t2;
      g[3 * r + 2] = t1 + t2 + t[r][3];
    }
    store_kernels(g, left, kernels + kTaps * i);
  }
}

}  // namespace sdtune
