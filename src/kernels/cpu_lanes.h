// Arithmetic on eight floats or four doubles at a time, where GCC does not find the vectors of a
// plain loop. Only for the files that are compiled once for each vector width. Not sixteen: on a
// processor with vectors of eight GCC 12 takes longer ones apart number by number.
#pragma once

#include "kernels/cpu_vectors.h"

namespace sdtune {

using Floats = Eight;
using Words = uint32_t __attribute__((vector_size(32)));
inline constexpr int kLanes = 8;

// e^y, held at e^-87.3 below and e^88 above. Relative error under 2e-7. (Of single floats GCC would
// make the two limits branches of their own.)
SDTUNE_INLINE Floats exp_of(Floats y) {
  y = y < -87.3F ? Floats{} - 87.3F : y;
  y = y > 88.0F ? Floats{} + 88.0F : y;
  // The last bits of the sum are n: converting it would take several instructions where there are
  // no conversions to unsigned words.
  const Floats sum = y * kLog2OfE + kRounder;
  const Words scale = (bits_as<Words>(sum) + 127) << 23;
  return exp_near_zero(rest_of(y, sum - kRounder)) * bits_as<Floats>(scale);
}

SDTUNE_INLINE Floats load_lanes(const float* from) { return load_vector<Floats>(from); }
SDTUNE_INLINE void store_lanes(Floats values, float* to) { store_vector(values, to); }

SDTUNE_INLINE Floats load_lanes(const BFloat16Bits* from) {
  using Halves = uint16_t __attribute__((vector_size(2 * kLanes)));
  Halves halves;
  __builtin_memcpy(&halves, from, sizeof(halves));
  return bits_as<Floats>(__builtin_convertvector(halves, Words) << 16);
}
SDTUNE_INLINE void store_lanes(Floats values, BFloat16Bits* to) {
  for (int i = 0; i < kLanes; ++i) store(values[i], to[i]);
}

// At the end of a run: the first `count` lanes, when there are no more; zero behind them.
template <class T>
SDTUNE_INLINE Floats load_lanes(const T* from, int64_t count) {
  if (count >= kLanes) return load_lanes(from);
  T values[kLanes] = {};
  for (int64_t i = 0; i < count; ++i) values[i] = from[i];
  return load_lanes(values);
}
template <class T>
SDTUNE_INLINE void store_lanes(Floats values, T* to, int64_t count) {
  if (count >= kLanes) return store_lanes(values, to);
  T stored[kLanes];
  store_lanes(values, stored);
  for (int64_t i = 0; i < count; ++i) to[i] = stored[i];
}

SDTUNE_INLINE Floats only_first(Floats values, int64_t count) {
  for (int64_t i = count; i < kLanes; ++i) values[i] = 0;
  return values;
}

SDTUNE_INLINE float sum_of_lanes(Floats values) {
  float sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += values[i];
  return sum;
}

inline constexpr int kDoubles = kLanes / 2;
using Doubles = double __attribute__((vector_size(32)));

template <class T>
SDTUNE_INLINE Doubles load_doubles(const T* from) {
  Doubles values;
  for (int i = 0; i < kDoubles; ++i) values[i] = load(from[i]);
  return values;
}
SDTUNE_INLINE Doubles load_doubles(const float* from) {
  using HalfFloats = float __attribute__((vector_size(kDoubles * sizeof(float))));
  return __builtin_convertvector(load_vector<HalfFloats>(from), Doubles);
}

}  // namespace sdtune
