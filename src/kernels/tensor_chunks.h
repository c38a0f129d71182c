// The elements of many tensors as one list of parts, so that threads share out all of them evenly
// in one go, whatever the sizes of the tensors. What one part gives does not depend on the threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace sdtune {

struct TensorChunk {
  size_t tensor;
  int64_t first;  // element, in the order of memory
  int64_t count;
};

constexpr int64_t kChunkElements = 65536;

// In the order of the tensors. sizes: elements of each.
inline std::vector<TensorChunk> tensor_chunks(std::span<const int64_t> sizes) {
  std::vector<TensorChunk> chunks;
  for (size_t tensor = 0; tensor < sizes.size(); ++tensor) {
    for (int64_t first = 0; first < sizes[tensor]; first += kChunkElements) {
      chunks.push_back({tensor, first, std::min(kChunkElements, sizes[tensor] - first)});
    }
  }
  return chunks;
}

}  // namespace sdtune
