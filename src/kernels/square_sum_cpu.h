// Sums of squares on the CPU, for a run of elements: pointers and a count, no torch. Not threaded:
// square_sum.cc splits the tensors.
#pragma once

#include "kernels/cpu_loops.h"

namespace sdtune {

// x: [count]. In double; squares of such narrow values are exact there, so that the sum has the
// same bits at each vector width.
double square_sum_cpu(const float* x, int64_t count);
double square_sum_cpu(const BFloat16Bits* x, int64_t count);
double square_sum_cpu(const HalfBits* x, int64_t count);

}  // namespace sdtune
