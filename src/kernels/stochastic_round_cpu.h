// Stochastic rounding on the CPU, for a run of elements inside one block. It takes pointers and
// never includes torch. Not threaded: stochastic_round.cc splits the blocks.
#pragma once

#include <cstdint>

#include "kernels/cpu_loops.h"

namespace sdtune {

// value, out: [count] dense, the block's first element first; count <= kRoundingBlock.
void stochastic_round_cpu(const float* value, BFloat16Bits* out, int64_t count, uint64_t key,
                          int64_t block);

}  // namespace sdtune
