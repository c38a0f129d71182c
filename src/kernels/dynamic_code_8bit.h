// The 8-bit numbers of block-wise quantized optimizer states: the dynamic tree code of Dettmers et
// al., "8-bit Optimizers via Block-wise Quantization", 2022, with the values of bitsandbytes, and
// a table that finds the nearest one without a search. It never includes torch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sdtune {

// Elements that share one scale, their largest magnitude.
constexpr int64_t kBlock8bit = 256;
constexpr int64_t blocks_8bit(int64_t count) { return (count + kBlock8bit - 1) / kBlock8bit; }

// Seven decades from 1e-6 to 1; each further one is cut in twice as many equal parts, whose middles
// are the values, with 0 and 1 beside them. Signed codes spend one bit on the sign.
struct DynamicCode {
  // Magnitudes below the first cell are nearest to 0. One cell for each exponent and seven bits of
  // mantissa, so that no cell holds more than one border between two values.
  static constexpr uint32_t kLeastBits = 104u << 23;  // 2^-23
  static constexpr uint32_t kMostBits = 127u << 23;   // 1
  static constexpr size_t kCells = ((kMostBits - kLeastBits) >> 16) + 1;

  std::array<float, 256> values;  // ascending
  // The rank among 0 and the positive values is (cell + low 16 bits of the magnitude) >> 16: the
  // addition carries from the border on. Ties take the lower rank.
  std::array<uint32_t, kCells> cells;
  uint32_t zero;  // the index of 0: 127 for signed codes, else 0
};

const DynamicCode& dynamic_code(bool is_signed);

}  // namespace sdtune
