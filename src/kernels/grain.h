// How work is shared by at::parallel_for().
#pragma once

#include <algorithm>
#include <cstdint>

namespace sdtune {

// Pieces of work, so many multiplications each, that one thread takes at least: for fewer than 2^18
// multiplications one more thread costs more than it saves.
inline int64_t grain_for(int64_t multiplications) {
  return std::max<int64_t>(1, (1 << 18) / std::max<int64_t>(1, multiplications));
}

}  // namespace sdtune
