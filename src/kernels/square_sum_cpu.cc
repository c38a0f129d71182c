#include "kernels/square_sum_cpu.h"

#include "kernels/cpu_lanes.h"

namespace sdtune {

namespace {

template <class T>
SDTUNE_INLINE double sum(const T* x, int64_t count) {
  // As many sums apart as hide the time of an addition.
  constexpr int kSums = 4;
  Doubles sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums * kDoubles <= count; i += kSums * kDoubles) {
    for (int s = 0; s < kSums; ++s) {
      const Doubles values = load_doubles(x + i + s * kDoubles);
      sums[s] += values * values;
    }
  }
  const Doubles joined = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  double total = 0;
  for (int lane = 0; lane < kDoubles; ++lane) total += joined[lane];
  for (; i < count; ++i) {
    const double value = load(x[i]);
    total += value * value;
  }
  return total;
}

}  // namespace

SDTUNE_EACH_WIDTH double square_sum_cpu(const float* x, int64_t count) { return sum(x, count); }

SDTUNE_EACH_WIDTH double square_sum_cpu(const BFloat16Bits* x, int64_t count) {
  return sum(x, count);
}

SDTUNE_EACH_WIDTH double square_sum_cpu(const HalfBits* x, int64_t count) { return sum(x, count); }

}  // namespace sdtune
