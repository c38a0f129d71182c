#include "diffusion/alpha_levels.h"

#include <ATen/ATen.h>

#include <cmath>

#include "diffusion/sampling_steps.h"

namespace sdtune {

NoiseLevel AlphaLevels::at(int64_t timestep) const {
  const double alpha = alphas_[timestep].item<float>();
  return {std::sqrt(alpha), std::sqrt(1 - alpha)};
}

std::vector<int64_t> AlphaLevels::timesteps(const SamplerOptions& options) const {
  const bool ends_in_noise = at(kTrainTimesteps - 1).signal == 0;
  return ends_in_noise ? trailing_timesteps(options.steps)
                       : leading_timesteps(options.steps, options.steps_offset);
}

SamplerPath path_along(const AlphaLevels& levels, const std::vector<int64_t>& timesteps) {
  SamplerPath path;
  for (int64_t timestep : timesteps) {
    path.first.push_back(path.timesteps.size());
    path.timesteps.push_back(static_cast<double>(timestep));
    path.levels.push_back(levels.at(timestep));
  }
  return path;
}

}  // namespace sdtune
