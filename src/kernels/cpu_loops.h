// What the CPU's loops share: vector widths, storage types of 16 bits, and arithmetic that GCC
// turns into vectors. It never includes torch. Only the *_cpu files and what calls them include it.
#pragma once

#include <cstdint>

#include "base/vector_width.h"

#define SDTUNE_INLINE inline __attribute__((always_inline))

namespace sdtune {

// Storage types of 16 bits; the values are only ever touched as fp32.
struct BFloat16Bits {
  uint16_t bits;
};
struct HalfBits {
  uint16_t bits;
};

template <class To, class From>
SDTUNE_INLINE To bits_as(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To result;
  __builtin_memcpy(&result, &value, sizeof(result));
  return result;
}

SDTUNE_INLINE float load(float value) { return value; }
SDTUNE_INLINE void store(float value, float& out) { out = value; }

SDTUNE_INLINE float load(BFloat16Bits value) {
  return bits_as<float>(static_cast<uint32_t>(value.bits) << 16);
}

SDTUNE_INLINE void store(float value, BFloat16Bits& out) {
  const uint32_t bits = bits_as<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;  // to nearest, ties to even
  out.bits = static_cast<uint16_t>(value != value ? 0x7FC0 : rounded);
}

SDTUNE_INLINE float load(HalfBits value) {
  const uint32_t magnitude = static_cast<uint32_t>(value.bits & 0x7FFF) << 13;
  // The exponent's bias differs by 112; the multiplication also makes subnormal halves normal.
  const float scaled = bits_as<float>(magnitude) * 0x1p112F;
  const uint32_t infinite = magnitude >= 0x0F800000 ? 0x7F800000 : 0;
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000) << 16;
  return bits_as<float>(bits_as<uint32_t>(scaled) | infinite | sign);
}

SDTUNE_INLINE void store(float value, HalfBits& out) {
  const uint32_t bits = bits_as<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  // Below 2^-14 the half is subnormal: adding 0.5 makes the addition round at the half's last bit.
  const uint32_t subnormal = bits_as<uint32_t>(bits_as<float>(magnitude) + 0.5F) - 0x3F000000;
  const uint32_t normal = (magnitude + 0xFFF + ((magnitude >> 13) & 1) - 0x38000000) >> 13;
  uint32_t half = magnitude < 0x38800000 ? subnormal : normal;
  half = magnitude >= 0x477FF000 ? 0x7C00 : half;  // 65520 and above round to infinity
  half = magnitude > 0x7F800000 ? 0x7E00 : half;
  out.bits = static_cast<uint16_t>(half | sign);
}

// e^r for |r| <= ln 2 / 2, of a float or of many; Cephes' expf.
template <class F>
SDTUNE_INLINE F exp_near_zero(F r) {
  F p = 1.9875691e-4F * r + 1.3981999e-3F;
  p = p * r + 8.3334519e-3F;
  p = p * r + 4.1665796e-2F;
  p = p * r + 1.6666665e-1F;
  p = p * r + 5.0000001e-1F;
  return p * r * r + r + 1.0F;
}

// y = n·ln 2 + r with a whole n: adding and taking away kRounder rounds, and ln 2 comes in two
// parts.
inline constexpr float kLog2OfE = 1.44269504F, kRounder = 0x1.8p23F;
template <class F>
SDTUNE_INLINE F rest_of(F y, F n) {
  return (y - n * 0.693359375F) + n * 2.12194440e-4F;
}

// e^y for y <= 0, held at the smallest normal floats below -87.3. Relative error under 2e-7.
SDTUNE_INLINE float exp_of_negative(float y) {
  y = y < -87.3F ? -87.3F : y;
  const float n = (y * kLog2OfE + kRounder) - kRounder;
  return exp_near_zero(rest_of(y, n)) *
         bits_as<float>(static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23);
}

}  // namespace sdtune
