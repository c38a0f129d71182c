// The random bits of stochastic rounding: a pure function of a key and an element's number, so that
// the CPU with any number of threads and CUDA round alike. Not Philox, which costs more than the
// update it serves: two keyed rounds of a 32-bit mixer, whose low bias is enough for rounding.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define SDTUNE_ROUNDING_INLINE __host__ __device__ __forceinline__
#else
#define SDTUNE_ROUNDING_INLINE inline __attribute__((always_inline))
#endif

namespace sdtune {

// Elements that share a block's key.
constexpr int64_t kRoundingBlock = 65536;

// A bijection of 32-bit words. Constants: C. Wellons, "Prospecting for hash functions", 2018.
SDTUNE_ROUNDING_INLINE uint32_t mix_bits(uint32_t x) {
  x ^= x >> 16;
  x *= 0x21F0AAADU;
  x ^= x >> 15;
  x *= 0xD35A2D97U;
  x ^= x >> 15;
  return x;
}

SDTUNE_ROUNDING_INLINE uint32_t rounding_block_key(uint64_t key, int64_t block) {
  return mix_bits(static_cast<uint32_t>(key >> 32) + static_cast<uint32_t>(block));
}

// fp32 bits to bf16 bits: up with the probability of the share that is cut off, else down. Sixteen
// random bits decide, which are all that the cut-off bits can tell apart. Values of bf16,
// infinities among them, stay as they are, and NaN stays NaN.
SDTUNE_ROUNDING_INLINE uint16_t round_to_bf16_bits(uint32_t value, uint64_t key, uint32_t block_key,
                                                   uint32_t place) {
  const uint32_t random = mix_bits(mix_bits(place ^ static_cast<uint32_t>(key)) + block_key) >> 16;
  const bool is_nan = (value & 0x7FFFFFFFU) > 0x7F800000U;
  return static_cast<uint16_t>(is_nan ? 0x7FC0U : (value + random) >> 16);
}

}  // namespace sdtune
