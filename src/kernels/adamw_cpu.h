// AdamW's loop on the CPU, for a run of elements: pointers and numbers, no torch. Not threaded:
// adamw.cc splits the tensors.
#pragma once

#include "kernels/adamw_update.h"

namespace sdtune {

// [count] each. max_exp_avg_sq is null without amsgrad.
struct AdamWRun {
  float* weight;
  const float* gradient;
  float* exp_avg;
  float* exp_avg_sq;
  float* max_exp_avg_sq;
  int64_t count;
};

void adamw_cpu(const AdamWRun& run, const AdamWNumbers& numbers,
               const AdamWCorrections& corrections);

}  // namespace sdtune
