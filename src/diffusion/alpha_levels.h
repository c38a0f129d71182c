// Noise levels at whole timesteps, for the samplers that stand on alphas_cumprod: ddim, pndm, lcm.
#pragma once

#include <vector>

#include "diffusion/sampler.h"

namespace sdtune {

class AlphaLevels {
 public:
  explicit AlphaLevels(const NoiseSchedule& schedule) : alphas_(schedule.alphas_cumprod) {}

  NoiseLevel at(int64_t timestep) const;

  // Timesteps 1000 / steps apart. Zero terminal SNR is met only when sampling begins at the last
  // one (Lin et al. 2023, 3.3); other schedules have the offset at their end.
  std::vector<int64_t> timesteps(const SamplerOptions& options) const;

 private:
  at::Tensor alphas_;
};

// One evaluation for each timestep, and each a step.
SamplerPath path_along(const AlphaLevels& levels, const std::vector<int64_t>& timesteps);

}  // namespace sdtune
