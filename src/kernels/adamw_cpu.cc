#include "kernels/adamw_cpu.h"

#include <cmath>

namespace sdtune {

namespace {

template <bool kAmsgrad>
SDTUNE_INLINE void update(const AdamWRun& run, AdamWFactors f) {
  float* __restrict weight = run.weight;
  const float* __restrict gradient = run.gradient;
  float* __restrict exp_avg = run.exp_avg;
  float* __restrict exp_avg_sq = run.exp_avg_sq;
  float* __restrict max_exp_avg_sq = run.max_exp_avg_sq;
  for (int64_t i = 0; i < run.count; ++i) {
    const float w = weight[i];
    const float g = f.gradient_scale * gradient[i] + f.decay * w;
    const float m = f.beta1 * exp_avg[i] + f.rest1 * g;
    const float v = f.beta2 * exp_avg_sq[i] + f.rest2 * g * g;
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    float largest = v;
    if constexpr (kAmsgrad) {
      largest = max_exp_avg_sq[i] > v ? max_exp_avg_sq[i] : v;
      max_exp_avg_sq[i] = largest;
    }
    weight[i] = f.keep * w - f.rate * m / (std::sqrt(largest) * f.root + f.eps);
  }
}

}  // namespace

SDTUNE_EACH_WIDTH void adamw_cpu(const AdamWRun& run, const AdamWFactors& factors) {
  if (run.max_exp_avg_sq != nullptr) {
    update<true>(run, factors);
  } else {
    update<false>(run, factors);
  }
}

}  // namespace sdtune
