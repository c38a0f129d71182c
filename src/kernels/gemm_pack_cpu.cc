#include "kernels/gemm_pack_cpu.h"

#include <algorithm>

#include "kernels/cpu_vectors.h"

namespace sdtune {

namespace {

constexpr int kSide = 8;

SDTUNE_INLINE void transpose(Eight (&m)[kSide]) {
  Eight pairs[kSide], fours[kSide];
#pragma GCC unroll 4
  for (int i = 0; i < kSide; i += 2) {
    pairs[i] = __builtin_shuffle(m[i], m[i + 1], Places{0, 8, 1, 9, 4, 12, 5, 13});
    pairs[i + 1] = __builtin_shuffle(m[i], m[i + 1], Places{2, 10, 3, 11, 6, 14, 7, 15});
  }
#pragma GCC unroll 8
  for (int i = 0; i < kSide; ++i) {
    const Eight &a = pairs[i / 4 * 4 + i % 4 / 2], &b = pairs[i / 4 * 4 + i % 4 / 2 + 2];
    fours[i] = i % 2 == 0 ? __builtin_shuffle(a, b, Places{0, 1, 8, 9, 4, 5, 12, 13})
                          : __builtin_shuffle(a, b, Places{2, 3, 10, 11, 6, 7, 14, 15});
  }
#pragma GCC unroll 4
  for (int i = 0; i < kSide / 2; ++i) {
    m[i] = __builtin_shuffle(fours[i], fours[i + 4], Places{0, 1, 2, 3, 8, 9, 10, 11});
    m[i + 4] = __builtin_shuffle(fours[i], fours[i + 4], Places{4, 5, 6, 7, 12, 13, 14, 15});
  }
}

SDTUNE_INLINE void flip_square(const Flip& p) {
  Eight square[kSide];
#pragma GCC unroll 8
  for (int i = 0; i < kSide; ++i) square[i] = load_vector<Eight>(p.from + i * p.from_step);
  transpose(square);
#pragma GCC unroll 8
  for (int i = 0; i < kSide; ++i) {
    float* to = p.to + i * p.to_step;
    store_vector(p.adds ? square[i] + load_vector<Eight>(to) : square[i], to);
  }
}

SDTUNE_INLINE void flip_rim(const Flip& p) {
  for (int64_t column = 0; column < p.columns; ++column) {
    for (int64_t row = 0; row < p.rows; ++row) {
      float& to = p.to[column * p.to_step + row];
      to = (p.adds ? to : 0.0F) + p.from[row * p.from_step + column];
    }
  }
}

SDTUNE_INLINE void flip_all(const Flip& p) {
  for (int64_t row = 0; row < p.rows; row += kSide) {
    for (int64_t column = 0; column < p.columns; column += kSide) {
      const Flip part = {p.from + row * p.from_step + column,
                         p.from_step,
                         p.to + column * p.to_step + row,
                         p.to_step,
                         std::min<int64_t>(kSide, p.rows - row),
                         std::min<int64_t>(kSide, p.columns - column),
                         p.adds};
      if (part.rows == kSide && part.columns == kSide) {
        flip_square(part);
      } else {
        flip_rim(part);
      }
    }
  }
}

// One row of a strip, `there` numbers of it; what the strip has more is 0.
SDTUNE_INLINE void pack_row(const float* from, int64_t there, int64_t strip, float* to) {
  if (there < strip) {
    std::copy_n(from, there, to);
    std::fill_n(to + there, strip - there, 0.0F);
    return;
  }
  for (int64_t i = 0; i < strip; i += kSide) {
    store_vector(load_vector<Eight>(from + i), to + i);
  }
}

// Rows of a strip that are packed before the next strip's. The processor foresees no steps as wide
// as a row of b, so the next rows are fetched along.
constexpr int64_t kRowsAtOnce = 8;

SDTUNE_INLINE void pack_rows(const PackedStrips& p, float* to) {
  const int64_t end = whole_units(p.columns);
  for (int64_t begin = 0; begin < p.depth; begin += kRowsAtOnce) {
    const int64_t last = std::min(p.depth, begin + kRowsAtOnce);
    for (int64_t first = 0; first < end; first += p.strip) {
      const int64_t width = std::min(p.strip, end - first);
      const float* from = p.b.data + begin * p.b.row_step + first;
      for (int64_t k = begin; k < last; ++k, from += p.b.row_step) {
        for (int64_t i = 0; i < width; i += kGemmUnit) {
          __builtin_prefetch(from + kRowsAtOnce * p.b.row_step + i);
        }
        pack_row(from, std::min(width, p.columns - first), width, to + first * p.depth + k * width);
      }
    }
  }
}

SDTUNE_INLINE void pack_columns(const PackedStrips& p, float* to) {
  const int64_t end = whole_units(p.columns);
  for (int64_t first = 0; first < end; first += p.strip) {
    const int64_t width = std::min(p.strip, end - first);
    const int64_t there = std::min(width, p.columns - first);
    float* strip = to + first * p.depth;
    if (there < width) std::fill_n(strip, p.depth * width, 0.0F);
    flip_all({p.b.data + first * p.b.column_step, p.b.column_step, strip, width, there, p.depth,
              /*adds=*/false});
  }
}

}  // namespace

SDTUNE_EACH_WIDTH void flip(const Flip& call) { flip_all(call); }

SDTUNE_EACH_WIDTH void pack_strips(const PackedStrips& call, float* to) {
  if (call.b.column_step == 1) {
    pack_rows(call, to);
  } else {
    pack_columns(call, to);
  }
}

SDTUNE_EACH_WIDTH void interleave_rows(const float* a, int64_t column_step, int64_t rows,
                                       int64_t depth, float* to) {
  int64_t row = 0;
  for (const int64_t count : kTileRows) {
    for (; row + count <= rows; row += count) {
      const float* from = a + row;
      // Eight at once where there are eight, of which the next step overwrites the last: behind the
      // last step begin the rows that are left, two at least.
      const bool by_vectors = count > 4 && row + kSide <= rows;
      for (int64_t k = 0; k < depth; ++k, from += column_step, to += count) {
        if (by_vectors) {
          store_vector(load_vector<Eight>(from), to);
        } else {
          std::copy_n(from, count, to);
        }
      }
    }
  }
}

}  // namespace sdtune
