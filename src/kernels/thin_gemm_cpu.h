// A matrix product for matrices of which one side is small, on the CPU: both factors are read where
// they lie. A library's GEMM first copies them into an order of its own, which costs more than the
// product when each number is used only 16 or 64 times. Pointers and sizes, no torch; not threaded:
// the caller splits rows or columns.
#pragma once

#include <cstdint>

namespace sdtune {

// Columns come in multiples of this.
inline constexpr int64_t kThinUnit = 16;

// c = a·b. A row begins `a_row`, `b_row` or `c_row` elements after the one before; numbers of a row
// stand side by side, but `a_step` elements apart in a.
struct ThinGemm {
  const float* a;  // [rows, depth]
  const float* b;  // [depth, columns]
  float* c;        // [rows, columns]
  int64_t a_row, a_step, b_row, c_row;
  int64_t rows, columns, depth;  // columns: a multiple of kThinUnit
};

// Whether the processor has the 32 wide registers (AVX-512) that thin_gemm is cut for.
bool thin_gemm_is_fast();

// The order in which products are added depends on the sizes alone.
void thin_gemm(const ThinGemm& product);

}  // namespace sdtune
