// AdamW's loop on the CPU, for a run of elements: pointers and numbers, no torch. Not threaded:
// adamw.cc splits the tensors.
#pragma once

#include "kernels/cpu_loops.h"

namespace sdtune {

struct AdamWFactors {
  float gradient_scale;
  float beta1, beta2, rest1, rest2;  // rest = 1 - beta
  float keep;                        // what decay leaves of a weight
  float decay;                       // the decay that joins the gradient
  float rate;                        // learning rate / (1 - beta1^time)
  float root;                        // 1 / √(1 - beta2^time)
  float eps;
};

// [count] each. max_exp_avg_sq is null without amsgrad.
struct AdamWRun {
  float* weight;
  const float* gradient;
  float* exp_avg;
  float* exp_avg_sq;
  float* max_exp_avg_sq;
  int64_t count;
};

void adamw_cpu(const AdamWRun& run, const AdamWFactors& factors);

}  // namespace sdtune
