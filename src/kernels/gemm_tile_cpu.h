// What a product consists of, for loops that do more with it than gemm_cpu() does: rows of a times
// one strip of b, whose sums stand in registers. Pointers and steps, no torch.
#pragma once

#include "kernels/gemm_cpu.h"

namespace sdtune {

// Rows of a: where they lie, or as interleave_rows() leaves them.
struct GemmRows {
  const float* data;
  int64_t row_step, column_step;
  bool interleaved;
};

// What some rows of a and a strip of b, as pack_strips() leaves it, add up to over `depth`.
struct GemmTiles {
  GemmRows a;
  const float* strip;
  float* c;
  int64_t c_step, depth;
  bool adds;  // to what c holds
};

// `columns`: of the strip, a multiple of 16; 16 where it is cut for the narrow tile, up to 64 for
// the wide one. Writes all of them.
void multiply_strip(const GemmTiles& tiles, int64_t rows, int64_t columns, GemmTile cut_for);

}  // namespace sdtune
