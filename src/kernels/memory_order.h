// Where the elements of a channels-last tensor lie, for loops that walk it by its indices. The
// CPU's loops and the CUDA kernels share it; it never includes torch.
#pragma once

#include <cstdint>

#include "kernels/on_both.h"

namespace sdtune {

// Of a contiguous tensor, or of [N, C, H, W] with its channels last and at most kMostMapped
// elements: divisions of 64 bits would cost a GPU more than the update that they serve.
struct MemoryOrder {
  uint32_t channels = 1;  // C
  uint32_t plane = 1;     // H * W; 1 is contiguous
};
constexpr int64_t kMostMapped = UINT32_MAX;

// index: of an element, counted as if the tensor were contiguous.
SDTUNE_ON_BOTH int64_t place_in_memory(const MemoryOrder& order, int64_t index) {
  if (order.plane == 1) return index;
  const auto i = static_cast<uint32_t>(index);
  const uint32_t plane = i / order.plane;
  const uint32_t outer = plane / order.channels;
  const uint32_t channel = plane - outer * order.channels;
  return (outer * order.plane + i - plane * order.plane) * order.channels + channel;
}

}  // namespace sdtune
