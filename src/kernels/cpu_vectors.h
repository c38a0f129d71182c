// Vectors as long as a register of AVX2 and of AVX-512, for loops that count registers. Only for
// the files that are compiled once for each vector width.
#pragma once

#include "kernels/cpu_loops.h"

namespace sdtune {

using Eight = float __attribute__((vector_size(32)));
using Places = int32_t __attribute__((vector_size(32)));  // in two of Eight, for __builtin_shuffle
using Sixteen = float __attribute__((vector_size(64)));

template <class V>
SDTUNE_INLINE V load_vector(const float* from) {
  V values;
  __builtin_memcpy(&values, from, sizeof(values));
  return values;
}

template <class V>
SDTUNE_INLINE void store_vector(const V& values, float* to) {
  __builtin_memcpy(to, &values, sizeof(values));
}

}  // namespace sdtune
