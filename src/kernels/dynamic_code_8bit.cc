#include "kernels/dynamic_code_8bit.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace sdtune {

namespace {

// torch.linspace(0.1, 1, parts + 1) in fp32, which counts from both ends, with one rounding.
float border(int part, int parts) {
  const float step = (1.0F - 0.1F) / static_cast<float>(parts);
  const float from_end = static_cast<float>(parts - part);
  return part <= parts / 2 && 2 * part < parts + 1 ? std::fma(step, static_cast<float>(part), 0.1F)
                                                   : std::fma(-step, from_end, 1.0F);
}

// 0 and the positive values, ascending.
std::vector<float> magnitudes(bool is_signed) {
  constexpr int kDecades = 7;
  std::vector<float> result = {0, 1};
  for (int decade = 0; decade < kDecades; ++decade) {
    const int parts = is_signed ? 1 << decade : 2 << decade;
    const auto scale = static_cast<float>(std::pow(10.0, decade - (kDecades - 1)));
    for (int part = 0; part < parts; ++part) {
      result.push_back(scale * ((border(part, parts) + border(part + 1, parts)) / 2));
    }
  }
  std::sort(result.begin(), result.end());
  return result;
}

void fill_cells(const std::vector<float>& ranks, DynamicCode& code) {
  uint32_t rank = 0;
  for (size_t cell = 0; cell < DynamicCode::kCells; ++cell) {
    const uint32_t first = DynamicCode::kLeastBits + (static_cast<uint32_t>(cell) << 16);
    code.cells[cell] = rank << 16;
    if (rank + 1 == ranks.size()) continue;
    const double middle = (static_cast<double>(ranks[rank]) + ranks[rank + 1]) / 2;
    auto above = static_cast<float>(middle);
    if (above <= middle) above = std::nextafter(above, 2.0F);
    const uint32_t bits = std::bit_cast<uint32_t>(above);
    if (bits - first >= 1u << 16) continue;
    code.cells[cell] += (1u << 16) - (bits - first);
    ++rank;
  }
}

DynamicCode make_code(bool is_signed) {
  const std::vector<float> ranks = magnitudes(is_signed);
  DynamicCode code;
  code.zero = is_signed ? 127 : 0;
  // There is no -1: the last rank is for positive values alone.
  for (uint32_t i = 0; i < code.zero; ++i) code.values[i] = -ranks[code.zero - i];
  std::copy(ranks.begin(), ranks.end(), code.values.begin() + code.zero);
  fill_cells(ranks, code);
  return code;
}

}  // namespace

const DynamicCode& dynamic_code(bool is_signed) {
  static const DynamicCode kSigned = make_code(true);
  static const DynamicCode kUnsigned = make_code(false);
  return is_signed ? kSigned : kUnsigned;
}

}  // namespace sdtune
