// How both passes of attention lay out parts of a head for the tiles of a product.
#pragma once

#include <algorithm>

#include "kernels/attention_cpu.h"
#include "kernels/gemm_pack_cpu.h"
#include "kernels/gemm_tile_cpu.h"

namespace sdtune {

// What interleave_rows() writes for a moment behind its result.
inline constexpr int64_t kBesideInterleaved = 2;

template <class T>
HeadRows<T> rows_from(const HeadRows<T>& rows, int64_t first) {
  return {rows.data + first * rows.step, rows.step};
}

inline GemmRows as_they_lie(const HeadRows<const float>& rows) {
  return {rows.data, rows.step, 1, false};
}
inline GemmRows interleaved(const float* data) { return {data, 1, 1, true}; }

// [count, width] as strips of the transposed matrix: whole_units(count) * width floats.
inline void pack_transposed(const HeadRows<const float>& rows, int64_t count,
                            const HeadSizes& sizes, float* to) {
  pack_strips({{rows.data, 1, rows.step}, sizes.width, count, static_cast<int64_t>(sizes.tile)},
              to);
}

// [count, width] as the rows of the transposed matrix: count * width floats.
inline void interleave_transposed(const HeadRows<const float>& rows, int64_t count, int64_t width,
                                  float* to) {
  interleave_rows(rows.data, rows.step, width, count, to);
}

// Calls use(first column, the strip's columns, those of them that are there) for each strip.
template <class Use>
void for_strips(int64_t columns, GemmTile tile, Use use) {
  const auto strip = static_cast<int64_t>(tile);
  const int64_t end = whole_units(columns);
  for (int64_t first = 0; first < end; first += strip) {
    const int64_t width = std::min(strip, end - first);
    use(first, width, std::min(width, columns - first));
  }
}

}  // namespace sdtune
