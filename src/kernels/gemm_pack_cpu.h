// How gemm_cpu lays out its factors: the vectors of a tile read both of them from end to end.
// Pointers and steps, no torch.
#pragma once

#include "kernels/gemm_cpu.h"

namespace sdtune {

// Columns come in multiples of this; what b lacks is 0.
inline constexpr int64_t kGemmUnit = 16;

constexpr int64_t whole_units(int64_t columns) {
  return (columns + kGemmUnit - 1) / kGemmUnit * kGemmUnit;
}

// Rows of a that a tile takes: as many as it finds of the first, then of the next.
inline constexpr int64_t kTileRows[] = {6, 4, 1};

// b [depth, columns] as strips of `strip` columns, one after the other, each [depth, strip]; the
// last is as narrow as whole_units() allows. whole_units(columns) * depth floats.
struct PackedStrips {
  StridedMatrix<const float> b;
  int64_t depth, columns, strip;
};
void pack_strips(const PackedStrips& call, float* to);

// a [rows, depth], whose columns are side by side, as [depth, 6] for six rows each, then of four
// and of one: rows * depth floats.
void interleave_rows(const float* a, int64_t column_step, int64_t rows, int64_t depth, float* to);

// rows x columns numbers to the transposed place, [columns, rows].
struct Flip {
  const float* from;
  int64_t from_step;
  float* to;
  int64_t to_step;
  int64_t rows, columns;
  bool adds;  // to what is there
};
void flip(const Flip& call);

}  // namespace sdtune
