#include "kernels/gemm_cpu.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu_vectors.h"
#include "kernels/gemm_pack_cpu.h"
#include "kernels/gemm_tile_cpu.h"

namespace sdtune {

namespace {

// What is packed of b at a time, 1 MB. A strip of 16 columns is 32 KB, the first cache.
constexpr int64_t kBlockDepth = 512;
constexpr int64_t kBlockColumns = 512;

// Rows of a, 192 KB of them, that stay in the second cache while the packed columns pass by.
constexpr int64_t kBlockRows = 96;

template <class V, int64_t kRows, int64_t kVectors>
SDTUNE_INLINE void multiply_tile(const GemmTiles& p) {
  constexpr int64_t kLength = sizeof(V) / sizeof(float);
  const int64_t a_row = p.a.interleaved ? 1 : p.a.row_step;
  const int64_t a_step = p.a.interleaved ? kRows : p.a.column_step;
  V sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int64_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) {
      sums[r][v] = p.adds ? load_vector<V>(p.c + r * p.c_step + v * kLength) : V{};
    }
  }
  const float *a = p.a.data, *b = p.strip;
  for (int64_t k = 0; k < p.depth; ++k, a += a_step, b += kVectors * kLength) {
    V row[kVectors];
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) row[v] = load_vector<V>(b + v * kLength);
#pragma GCC unroll 8
    for (int64_t r = 0; r < kRows; ++r) {
      const float factor = a[r * a_row];
#pragma GCC unroll 4
      for (int64_t v = 0; v < kVectors; ++v) sums[r][v] += row[v] * factor;
    }
  }
#pragma GCC unroll 8
  for (int64_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) {
      store_vector(sums[r][v], p.c + r * p.c_step + v * kLength);
    }
  }
}

template <class V, int64_t kVectors>
SDTUNE_INLINE void multiply_rows(GemmTiles tile, int64_t rows) {
  const auto advance = [&](int64_t count) {
    tile.a.data += count * (tile.a.interleaved ? tile.depth : tile.a.row_step);
    tile.c += count * tile.c_step;
    rows -= count;
  };
  for (; rows >= kTileRows[0]; advance(kTileRows[0]))
    multiply_tile<V, kTileRows[0], kVectors>(tile);
  for (; rows >= kTileRows[1]; advance(kTileRows[1]))
    multiply_tile<V, kTileRows[1], kVectors>(tile);
  for (; rows > 0; advance(kTileRows[2])) multiply_tile<V, kTileRows[2], kVectors>(tile);
}

// Some rows of a, and what is packed of b.
struct Block {
  GemmRows a;
  const float* b;
  float* c;  // where the first of these rows and columns meet
  int64_t rows, columns, depth;
  bool adds;
};

void store_straight(const Flip& p) {
  for (int64_t row = 0; row < p.rows; ++row) {
    for (int64_t column = 0; column < p.columns; ++column) {
      float& to = p.to[row * p.to_step + column];
      to = (p.adds ? to : 0.0F) + p.from[row * p.from_step + column];
    }
  }
}

SDTUNE_EACH_WIDTH void multiply_block(const Block& p, const GemmCall& call) {
  alignas(64) float corner[kBlockRows * static_cast<int64_t>(GemmTile::kWide)];
  const int64_t strip = static_cast<int64_t>(call.tile), end = whole_units(p.columns);
  const auto& c = call.c;
  for (int64_t first = 0; first < end; first += strip) {
    const int64_t width = std::min(strip, end - first);
    const int64_t there = std::min(width, p.columns - first);
    const float* packed = p.b + first * p.depth;
    if (c.column_step == 1 && there == width) {
      multiply_strip({p.a, packed, p.c + first, c.row_step, p.depth, p.adds}, p.rows, width,
                     call.tile);
      continue;
    }
    multiply_strip({p.a, packed, corner, width, p.depth, /*adds=*/false}, p.rows, width, call.tile);
    float* to = p.c + first * c.column_step;
    if (c.column_step == 1) {
      store_straight({corner, width, to, c.row_step, p.rows, there, p.adds});
    } else {
      flip({corner, width, to, c.column_step, p.rows, there, p.adds});
    }
  }
}

void fill_with_bias(const GemmCall& call) {
  const auto& c = call.c;
  if (c.column_step != 1) {
    for (int64_t i = 0; i < call.columns; ++i) {
      std::copy_n(call.bias, call.rows, c.data + i * c.column_step);
    }
  } else {
    for (int64_t i = 0; i < call.rows; ++i) {
      std::fill_n(c.data + i * c.row_step, call.columns, call.bias[i]);
    }
  }
}

// Room for one block of each factor, kept for the next product.
struct Scratch {
  std::vector<float> a = std::vector<float>(kBlockRows * kBlockDepth);
  std::vector<float> b = std::vector<float>(kBlockDepth * kBlockColumns);
};

template <class T>
T* element(const StridedMatrix<T>& matrix, int64_t row, int64_t column) {
  return matrix.data + row * matrix.row_step + column * matrix.column_step;
}

}  // namespace

bool gemm_is_fast() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
#else
  return false;
#endif
}

GemmTile fastest_gemm_tile() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") != 0) return GemmTile::kWide;
#endif
  return GemmTile::kNarrow;
}

SDTUNE_EACH_WIDTH void multiply_strip(const GemmTiles& tile, int64_t rows, int64_t columns,
                                      GemmTile cut_for) {
  if (cut_for == GemmTile::kNarrow) return multiply_rows<Eight, 2>(tile, rows);
  if (columns == 4 * kGemmUnit) return multiply_rows<Sixteen, 4>(tile, rows);
  if (columns == 3 * kGemmUnit) return multiply_rows<Sixteen, 3>(tile, rows);
  if (columns == 2 * kGemmUnit) return multiply_rows<Sixteen, 2>(tile, rows);
  multiply_rows<Sixteen, 1>(tile, rows);
}

void gemm_cpu(const GemmCall& call) {
  thread_local Scratch scratch;
  if (call.bias != nullptr) fill_with_bias(call);
  for (int64_t column = 0; column < call.columns; column += kBlockColumns) {
    for (int64_t k = 0; k < call.depth; k += kBlockDepth) {
      Block block;
      block.b = scratch.b.data();
      block.columns = std::min(kBlockColumns, call.columns - column);
      block.depth = std::min(kBlockDepth, call.depth - k);
      block.adds = k > 0 || call.adds || call.bias != nullptr;
      pack_strips({{element(call.b, k, column), call.b.row_step, call.b.column_step},
                   block.depth,
                   block.columns,
                   static_cast<int64_t>(call.tile)},
                  scratch.b.data());
      for (int64_t row = 0; row < call.rows; row += kBlockRows) {
        block.rows = std::min(kBlockRows, call.rows - row);
        block.c = element(call.c, row, column);
        block.a = {element(call.a, row, k), call.a.row_step, call.a.column_step, false};
        if (call.a.column_step != 1) {
          interleave_rows(block.a.data, block.a.column_step, block.rows, block.depth,
                          scratch.a.data());
          block.a = {scratch.a.data(), 1, 1, true};
        }
        multiply_block(block, call);
      }
    }
  }
}

}  // namespace sdtune
