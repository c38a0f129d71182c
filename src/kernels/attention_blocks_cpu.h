// How both passes of attention lay out parts of a head for the tiles of a product.
#pragma once

#include <algorithm>

#include "kernels/attention_cpu.h"
#include "kernels/gemm_pack_cpu.h"
#include "kernels/gemm_tile_cpu.h"

namespace sdtune {

// Cuts memory into parts that begin at lines of the cache if it does. Without memory it counts
// only.
class ScratchParts {
 public:
  explicit ScratchParts(float* memory) : memory_(memory) {}

  float* take(int64_t floats) {
    float* const part = memory_ == nullptr ? nullptr : memory_ + size_;
    size_ += (floats + kLine - 1) / kLine * kLine;
    return part;
  }
  int64_t size() const { return size_; }

 private:
  static constexpr int64_t kLine = 16;
  float* memory_;
  int64_t size_ = 0;
};

template <class T>
HeadRows<T> rows_from(const HeadRows<T>& rows, int64_t first) {
  return {rows.data + first * rows.step, rows.step};
}

inline GemmRows as_they_lie(const HeadRows<const float>& rows) {
  return {rows.data, rows.step, 1, false};
}
inline GemmRows interleaved(const float* data) { return {data, 1, 1, true}; }

inline void scale_all(float* values, int64_t count, float scale) {
  for (int64_t i = 0; i < count; ++i) values[i] *= scale;
}

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
