// Sizes of tensors whose shape comes from outside: computed without overflow, or not at all.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include "formats/weights.h"

namespace sdtune {

// More dimensions than any weight has; bounds the memory that a hostile shape takes.
inline constexpr size_t kMaxDimensions = 16;

// Product of the sizes; nothing when one is negative or the product does not fit in an int64_t. A
// size of zero excuses no overflow before it.
inline std::optional<uint64_t> checked_numel(std::span<const int64_t> shape) {
  int64_t numel = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(numel, size, &numel)) return std::nullopt;
  }
  return static_cast<uint64_t>(numel);
}

inline std::optional<uint64_t> checked_bytes(std::span<const int64_t> shape, DType dtype) {
  const std::optional<uint64_t> numel = checked_numel(shape);
  uint64_t bytes = 0;
  if (!numel || __builtin_mul_overflow(*numel, dtype_size(dtype), &bytes)) return std::nullopt;
  if (bytes > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return bytes;
}

}  // namespace sdtune
