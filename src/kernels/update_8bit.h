// The rules whose states may be 8-bit, as the CPU's loops and the CUDA kernel both compute them. It
// never includes torch.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/dynamic_code_8bit.h"
#include "kernels/on_both.h"

namespace sdtune {

enum class Rule8bit : int64_t {
  kAdam,      // first moment, second moment (Kingma & Ba 2015); decay apart from the gradient
  kLion,      // one moment (Chen et al. 2023)
  kMomentum,  // one moment; decay is part of the gradient
  kAdEMAMix,  // fast and slow first moment, second moment (Pagliardini et al. 2024)
};

constexpr int kMostStates8bit = 3;
SDTUNE_ON_BOTH constexpr int states_of(Rule8bit rule) {
  return rule == Rule8bit::kAdEMAMix ? 3 : rule == Rule8bit::kAdam ? 2 : 1;
}
// Second moments are never negative and have all 256 codes for themselves.
SDTUNE_ON_BOTH constexpr bool state_is_signed(Rule8bit rule, int state) {
  return rule == Rule8bit::kAdam ? state == 0 : state < 2;
}

struct Update8bit {
  Rule8bit rule = Rule8bit::kAdam;
  double rate = 1e-3;
  double beta1 = 0.9;  // of momentum: the momentum
  double beta2 = 0.999;
  double beta3 = 0.9999;  // of the slow moment
  double alpha = 5;       // its weight
  double eps = 1e-8;
  double weight_decay = 0;
  int64_t time = 1;  // of this update, from 1: for the correction of moments that started at 0
  bool nesterov = false;
  double gradient_scale = 1;  // a gradient counts as this times what it is
  uint64_t rounding_key = 0;  // of bf16 weights
};

// What one element's update needs, in fp32.
struct Coefficients8bit {
  float rate, beta1, beta2, beta3, rest1, rest2, rest3;  // rest = 1 - beta
  float keep;                                            // what decay leaves of a weight
  float decay;                                           // the decay that joins the gradient
  float correction;                                      // 1 / (1 - beta1^time)
  float root;                                            // 1 / √(1 - beta2^time)
  float alpha, eps, nesterov;
};

inline Coefficients8bit coefficients(const Update8bit& u) {
  const auto f = [](double value) { return static_cast<float>(value); };
  const auto time = static_cast<double>(u.time);
  const bool joins = u.rule == Rule8bit::kMomentum;
  return {.rate = f(u.rate),
          .beta1 = f(u.beta1),
          .beta2 = f(u.beta2),
          .beta3 = f(u.beta3),
          .rest1 = f(1 - u.beta1),
          .rest2 = f(1 - u.beta2),
          .rest3 = f(1 - u.beta3),
          .keep = joins ? 1.0F : f(1 - u.rate * u.weight_decay),
          .decay = joins ? f(u.weight_decay) : 0.0F,
          .correction = f(1 / (1 - std::pow(u.beta1, time))),
          .root = f(1 / std::sqrt(1 - std::pow(u.beta2, time))),
          .alpha = f(u.alpha),
          .eps = f(u.eps),
          .nesterov = u.nesterov ? 1.0F : 0.0F};
}

// One element: its weight and states before and after, states in the rule's order.
template <Rule8bit rule>
SDTUNE_ON_BOTH void update_element(const Coefficients8bit& c, float g, float& w, float* const* s,
                                   int i) {
  if constexpr (rule == Rule8bit::kAdam) {
    const float m = c.beta1 * s[0][i] + c.rest1 * g;
    const float v = c.beta2 * s[1][i] + c.rest2 * g * g;
    w = w * c.keep - c.rate * c.correction * m / (sqrtf(v) * c.root + c.eps);
    s[0][i] = m;
    s[1][i] = v;
  } else if constexpr (rule == Rule8bit::kLion) {
    const float direction = c.beta1 * s[0][i] + c.rest1 * g;
    const float sign = direction > 0 ? 1.0F : direction < 0 ? -1.0F : direction;
    w = w * c.keep - c.rate * sign;
    s[0][i] = c.beta2 * s[0][i] + c.rest2 * g;
  } else if constexpr (rule == Rule8bit::kMomentum) {
    const float gradient = g + c.decay * w;
    const float m = c.beta1 * s[0][i] + gradient;
    w -= c.rate * (c.nesterov != 0 ? gradient + c.beta1 * m : m);
    s[0][i] = m;
  } else {
    const float fast = c.beta1 * s[0][i] + c.rest1 * g;
    const float slow = c.beta3 * s[1][i] + c.rest3 * g;
    const float v = c.beta2 * s[2][i] + c.rest2 * g * g;
    w = w * c.keep - c.rate * (c.correction * fast + c.alpha * slow) / (sqrtf(v) * c.root + c.eps);
    s[0][i] = fast;
    s[1][i] = slow;
    s[2][i] = v;
  }
}

}  // namespace sdtune
