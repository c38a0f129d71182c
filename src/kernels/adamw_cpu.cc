#include "kernels/adamw_cpu.h"

#include "kernels/cpu_loops.h"

namespace sdtune {

namespace {

template <bool kAmsgrad>
SDTUNE_INLINE void update(const AdamWRun& run, AdamWNumbers numbers, AdamWCorrections corrections) {
  float* __restrict weight = run.weight;
  const float* __restrict gradient = run.gradient;
  float* __restrict exp_avg = run.exp_avg;
  float* __restrict exp_avg_sq = run.exp_avg_sq;
  float* __restrict max_exp_avg_sq = run.max_exp_avg_sq;
  for (int64_t i = 0; i < run.count; ++i) {
    AdamWElement e{weight[i], exp_avg[i], exp_avg_sq[i], kAmsgrad ? max_exp_avg_sq[i] : 0.0F};
    update_adamw_element<kAmsgrad>(e, gradient[i], numbers, corrections);
    weight[i] = e.weight;
    exp_avg[i] = e.exp_avg;
    exp_avg_sq[i] = e.exp_avg_sq;
    if constexpr (kAmsgrad) max_exp_avg_sq[i] = e.max_exp_avg_sq;
  }
}

}  // namespace

SDTUNE_EACH_WIDTH void adamw_cpu(const AdamWRun& run, const AdamWNumbers& numbers,
                                 const AdamWCorrections& corrections) {
  if (run.max_exp_avg_sq != nullptr) {
    update<true>(run, numbers, corrections);
  } else {
    update<false>(run, numbers, corrections);
  }
}

}  // namespace sdtune
