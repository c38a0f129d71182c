#include <ATen/ATen.h>

#include "diffusion/alpha_levels.h"
#include "diffusion/sampler_families.h"

namespace sdtune {

namespace {

// DDIM with eta 0 (Song et al. 2021, eq. 12). Each step goes down 1000 / steps timesteps, the last
// to the picture. A picture that was clipped does not change the noise.
class DdimSampler final : public Sampler {
 public:
  DdimSampler(const AlphaLevels& levels, const SamplerOptions& options)
      : Sampler(path_along(levels, levels.timesteps(options)), options) {
    for (double timestep : timesteps()) {
      const int64_t next = static_cast<int64_t>(timestep) - kTrainTimesteps / options.steps;
      targets_.push_back(next < 0 ? NoiseLevel{} : levels.at(next));
    }
  }

  at::Tensor step(const at::Tensor& output, size_t i, const at::Tensor& latents,
                  const DrawNoise& /*draw*/) override {
    return targets_[i].signal * predicted_picture(output, latents, level(i)) +
           targets_[i].noise * predicted_noise(output, latents, level(i));
  }

 private:
  std::vector<NoiseLevel> targets_;
};

}  // namespace

SamplerPointer make_ddim(const NoiseSchedule& schedule, const SamplerOptions& options) {
  return std::make_unique<DdimSampler>(AlphaLevels(schedule), options);
}

}  // namespace sdtune
