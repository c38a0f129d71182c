// Which timesteps a step trains at: sd-scripts' range, and distributions over it that put more
// samples where a model has more to learn. Pure functions as the noise is (draws.h).
#pragma once

#include <vector>

#include "diffusion/draws.h"
#include "diffusion/noise_schedule.h"

namespace sdtune {

enum class TimestepSampling { kUniform, kLogitNormal, kSigmoid, kCustom };

struct TimestepSettings {
  int64_t low = 0;
  int64_t high = kTrainTimesteps;  // not included; where both are equal every sample gets it
  TimestepSampling sampling = TimestepSampling::kUniform;
  double logit_mean = 0;  // logit_normal
  double logit_std = 1;
  double sigmoid_scale = 1;     // sigmoid
  std::vector<double> weights;  // custom: of equal parts of the 1000 timesteps, none negative
};

// [count] int64 on the CPU, in [low, high).
//   uniform       each alike
//   logit_normal  low + (high - low) sigmoid(mean + std n), n ~ N(0, 1) (Esser et al. 2024, eq. 19)
//   sigmoid       the same with mean 0 and std = sigmoid_scale
//   custom        in proportion to the weights, timestep t having that of part t * n / 1000
// Throws UsageError when the custom weights are all zero within the range.
at::Tensor draw_timesteps(const DrawPosition& position, int64_t count,
                          const TimestepSettings& settings);

}  // namespace sdtune
