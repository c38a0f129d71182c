#include "kernels/stochastic_round_cpu.h"

#include "kernels/rounding_bits.h"

namespace sdtune {

SDTUNE_EACH_WIDTH void stochastic_round_cpu(const float* __restrict value,
                                            BFloat16Bits* __restrict out, int64_t count,
                                            uint64_t key, int64_t block) {
  const uint32_t block_key = rounding_block_key(key, block);
  const auto n = static_cast<uint32_t>(count);
  for (uint32_t i = 0; i < n; ++i) {
    out[i].bits = round_to_bf16_bits(bits_as<uint32_t>(value[i]), key, block_key, i);
  }
}

}  // namespace sdtune
