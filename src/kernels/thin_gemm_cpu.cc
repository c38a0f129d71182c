#include "kernels/thin_gemm_cpu.h"

#include <algorithm>

#include "kernels/cpu_loops.h"

namespace sdtune {

namespace {

using Floats = float __attribute__((vector_size(64)));
constexpr int kLanes = 16;

SDTUNE_INLINE Floats load_lanes(const float* from) {
  Floats values;
  __builtin_memcpy(&values, from, sizeof(values));
  return values;
}
SDTUNE_INLINE void store_lanes(Floats values, float* to) {
  __builtin_memcpy(to, &values, sizeof(values));
}

// 24 sums, 4 vectors of b and one number of a stay in the 32 registers of AVX-512.
constexpr int64_t kTileRows = 6;
constexpr int64_t kTileVectors = 4;

// Rows of b that stay in the second cache, 320 KB of them, while all of a passes by.
constexpr int64_t kDepth = 1280;

struct Place {
  int64_t row, column, begin, end;  // begin, end: of the depth
};

// The first tile of a stripe fetches the stripe that follows: the processor foresees no steps as
// wide as a row of b.
enum class Ahead { kNothing, kNextStripe };

template <int64_t kRows, int64_t kVectors, Ahead kAhead>
SDTUNE_INLINE void tile(const ThinGemm& p, const Place& at, bool adds) {
  const float* a = p.a + at.row * p.a_row;
  const float* b = p.b + at.column;
  float* c = p.c + at.row * p.c_row + at.column;
  Floats sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int64_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) {
      sums[r][v] = adds ? load_lanes(c + r * p.c_row + v * kLanes) : Floats{};
    }
  }
  for (int64_t k = at.begin; k < at.end; ++k) {
    Floats row[kVectors];
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) {
      const float* from = b + k * p.b_row + v * kLanes;
      row[v] = load_lanes(from);
      if constexpr (kAhead == Ahead::kNextStripe) __builtin_prefetch(from + kVectors * kLanes);
    }
#pragma GCC unroll 8
    for (int64_t r = 0; r < kRows; ++r) {
      const float factor = a[r * p.a_row + k * p.a_step];
#pragma GCC unroll 4
      for (int64_t v = 0; v < kVectors; ++v) sums[r][v] += row[v] * factor;
    }
  }
#pragma GCC unroll 8
  for (int64_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) {
      store_lanes(sums[r][v], c + r * p.c_row + v * kLanes);
    }
  }
}

// All rows of a stripe of kVectors vectors.
template <int64_t kVectors>
SDTUNE_INLINE void stripe(const ThinGemm& p, int64_t column) {
  for (int64_t begin = 0; begin < p.depth; begin += kDepth) {
    const int64_t end = std::min(p.depth, begin + kDepth);
    const bool adds = begin > 0;
    int64_t row = 0;
    if (p.rows >= kTileRows) {
      tile<kTileRows, kVectors, Ahead::kNextStripe>(p, {row, column, begin, end}, adds);
      row = kTileRows;
    }
    for (; row + kTileRows <= p.rows; row += kTileRows) {
      tile<kTileRows, kVectors, Ahead::kNothing>(p, {row, column, begin, end}, adds);
    }
    for (; row < p.rows; ++row) {
      tile<1, kVectors, Ahead::kNothing>(p, {row, column, begin, end}, adds);
    }
  }
}

}  // namespace

bool thin_gemm_is_fast() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") != 0;
#else
  return false;
#endif
}

SDTUNE_EACH_WIDTH void thin_gemm(const ThinGemm& product) {
  int64_t column = 0;
  for (; column + kTileVectors * kLanes <= product.columns; column += kTileVectors * kLanes) {
    stripe<kTileVectors>(product, column);
  }
  for (; column < product.columns; column += kLanes) stripe<1>(product, column);
}

}  // namespace sdtune
