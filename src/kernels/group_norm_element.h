// Group norm's arithmetic for one value, and moments that are summed apart and joined, as the CUDA
// kernels compute them. It never includes torch; group_norm_device_test.cc tests it on the CPU.
#pragma once

#include <cmath>

#include "kernels/on_both.h"

namespace sdtune {

// Mean and spread of values so far (Welford 1962; Chan, Golub & LeVeque 1979), which keep their
// digits however far the mean is from zero.
struct RunningMoments {
  float count;
  float mean;
  float squares;  // sum of squared distances from the mean
};

SDTUNE_ON_BOTH void join(RunningMoments& all, const RunningMoments& others) {
  if (others.count == 0) return;
  const float count = all.count + others.count;
  const float share = others.count / count;
  const float apart = others.mean - all.mean;
  all.mean += apart * share;
  all.squares += others.squares + apart * apart * (all.count * share);
  all.count = count;
}

// Several values at once: their own moments first, so that one division serves all.
template <int kCount>
SDTUNE_ON_BOTH void add_values(RunningMoments& all, const float (&values)[kCount]) {
  RunningMoments own{kCount, 0, 0};
  for (int i = 0; i < kCount; ++i) own.mean += values[i];
  own.mean *= 1.0F / kCount;
  for (int i = 0; i < kCount; ++i) {
    const float apart = values[i] - own.mean;
    own.squares += apart * apart;
  }
  join(all, own);
}

// What one channel of one picture is normed by: z = (x - mean)·scale + bias.
struct ChannelNorm {
  float mean;
  float inverse;  // of the group's deviation
  float scale;    // weight · inverse
  float bias;

  SDTUNE_ON_BOTH float operator()(float x) const { return (x - mean) * scale + bias; }
};

SDTUNE_ON_BOTH float sigmoid(float z) { return 1.0F / (1.0F + expf(-z)); }

SDTUNE_ON_BOTH float normed(const ChannelNorm& norm, float x, bool silu) {
  const float z = norm(x);
  return silu ? z * sigmoid(z) : z;
}

// The gradient of z where the result's is `grad`.
SDTUNE_ON_BOTH float grad_of_normed(const ChannelNorm& norm, float x, float grad, bool silu) {
  if (!silu) return grad;
  const float z = norm(x);
  const float s = sigmoid(z);
  return grad * s * (1.0F + z * (1.0F - s));
}

// What the moments' dependence on each value of a group takes from its gradient, a line:
// grad_x = scale·grad_z - level - slope·(x - mean).
struct GroupLine {
  float level;
  float slope;
};

// grads, products: sums over the group of weight·grad_z and weight·grad_z·x̂, x̂ = (x -
// mean)·inverse; count: its values.
SDTUNE_ON_BOTH GroupLine group_line(double grads, double products, double inverse, double count) {
  const double each = inverse / count;
  return {static_cast<float>(each * grads), static_cast<float>(each * products * inverse)};
}

SDTUNE_ON_BOTH float grad_of_x(const ChannelNorm& norm, const GroupLine& line, float x,
                               float grad_z) {
  return norm.scale * grad_z - line.level - line.slope * (x - norm.mean);
}

}  // namespace sdtune
