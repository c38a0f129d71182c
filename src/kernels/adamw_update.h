// AdamW's rule for one element and one tensor's step, as the CPU's loop and the CUDA kernel compute
// them. It never includes torch.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/on_both.h"

namespace sdtune {

struct AdamWRule {
  double rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
  bool decoupled = true;      // off is Adam, whose weight decay is part of the gradient
  double gradient_scale = 1;  // a gradient counts as this times what it is
};

// What is the same for all tensors of a step.
struct AdamWNumbers {
  double rate, beta1, beta2;
  float rest1, rest2;  // 1 - beta
  float keep;          // what decay leaves of a weight
  float decay;         // the decay that joins the gradient
  float eps;
  float gradient_scale;  // a gradient counts as this times what it is
};

inline AdamWNumbers adamw_numbers(const AdamWRule& rule) {
  const auto f = [](double value) { return static_cast<float>(value); };
  return {rule.rate,
          rule.beta1,
          rule.beta2,
          f(1 - rule.beta1),
          f(1 - rule.beta2),
          rule.decoupled ? f(1 - rule.rate * rule.weight_decay) : 1.0F,
          rule.decoupled ? 0.0F : f(rule.weight_decay),
          f(rule.eps),
          f(rule.gradient_scale)};
}

// What corrects moments that were 0 at first.
struct AdamWCorrections {
  float rate;  // learning rate / (1 - beta1^time)
  float root;  // 1 / √(1 - beta2^time)
};

// time: of this update, from 1.
SDTUNE_ON_BOTH AdamWCorrections adamw_corrections(const AdamWNumbers& n, double time) {
  return {static_cast<float>(n.rate / (1 - pow(n.beta1, time))),
          static_cast<float>(1 / sqrt(1 - pow(n.beta2, time)))};
}

struct AdamWElement {
  float weight, exp_avg, exp_avg_sq, max_exp_avg_sq;
};

template <bool kAmsgrad>
SDTUNE_ON_BOTH void update_adamw_element(AdamWElement& e, float gradient, const AdamWNumbers& n,
                                         const AdamWCorrections& c) {
  const float g = n.gradient_scale * gradient + n.decay * e.weight;
  e.exp_avg = static_cast<float>(n.beta1) * e.exp_avg + n.rest1 * g;
  e.exp_avg_sq = static_cast<float>(n.beta2) * e.exp_avg_sq + n.rest2 * g * g;
  float largest = e.exp_avg_sq;
  if (kAmsgrad) {
    largest = e.max_exp_avg_sq > largest ? e.max_exp_avg_sq : largest;
    e.max_exp_avg_sq = largest;
  }
  e.weight = n.keep * e.weight - c.rate * e.exp_avg / (sqrtf(largest) * c.root + n.eps);
}

}  // namespace sdtune
