// A product of fp32 matrices on the CPU. MKL, which torch asks, takes a slower kernel on AMD's
// processors, and loses a third of its rate where one side is short. Pointers and steps, no torch;
// not threaded: the caller splits rows or columns.
#pragma once

#include <cstdint>

namespace sdtune {

// Element (row, column) stands at data[row * row_step + column * column_step]; one step is 1.
template <class T>
struct StridedMatrix {
  T* data;
  int64_t row_step, column_step;
};

// Columns of what is summed up in registers at a time: 6 x 16 of 8 floats each fill the registers
// of AVX2, 6 x 64 of 16 floats those of AVX-512. Any processor takes both.
enum class GemmTile : int64_t { kNarrow = 16, kWide = 64 };

// Whether the processor has AVX2 at least, which the tiles are cut for.
bool gemm_is_fast();
GemmTile fastest_gemm_tile();

// c = a·b, or c + a·b.
struct GemmCall {
  StridedMatrix<const float> a;  // [rows, depth]
  StridedMatrix<const float> b;  // [depth, columns]
  StridedMatrix<float> c;        // [rows, columns]
  int64_t rows, columns, depth;
  const float* bias = nullptr;  // [rows], added to each row of c, or null; not with `adds`
  bool adds = false;            // to what c holds
  GemmTile tile = fastest_gemm_tile();
};

// Keeps 1.2 MB of scratch memory for each thread that calls. The order in which products are
// added depends on the depth alone.
void gemm_cpu(const GemmCall& call);

}  // namespace sdtune
