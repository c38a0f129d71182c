#include <ATen/ATen.h>

#include <cmath>

#include "diffusion/alpha_levels.h"
#include "diffusion/sampler_families.h"

namespace sdtune {

namespace {

constexpr double kSigmaData = 0.5;
constexpr double kTimestepScale = 10;

// Evenly out of 999, 979, ..., 19, which models are distilled at.
std::vector<int64_t> distilled_timesteps(int steps) {
  const double apart = static_cast<double>(kLcmMostSteps) / steps;
  std::vector<int64_t> timesteps;
  for (int i = 0; i < steps; ++i) {
    const auto place = static_cast<int64_t>(i * apart);
    timesteps.push_back((kLcmMostSteps - place) * (kTrainTimesteps / kLcmMostSteps) - 1);
  }
  return timesteps;
}

// Latent consistency models (Luo et al. 2023, algorithm 3): each step predicts the picture, mixes
// it with the latents by the boundary condition (eq. 9), and adds new noise for the next.
class LcmSampler final : public Sampler {
 public:
  LcmSampler(const AlphaLevels& levels, const SamplerOptions& options)
      : Sampler(path_along(levels, distilled_timesteps(options.steps)), options) {}

  at::Tensor step(const at::Tensor& output, size_t i, const at::Tensor& latents,
                  const DrawNoise& draw) override {
    const double time = timesteps()[i] * kTimestepScale;
    const double root = std::hypot(time, kSigmaData);
    const double kept = kSigmaData / root;
    const at::Tensor picture =
        time / root * predicted_picture(output, latents, level(i)) + kept * kept * latents;
    return i + 1 < evaluations() ? add_noise(picture, draw(), i + 1) : picture;
  }
};

}  // namespace

SamplerPointer make_lcm(const NoiseSchedule& schedule, const SamplerOptions& options) {
  return std::make_unique<LcmSampler>(AlphaLevels(schedule), options);
}

}  // namespace sdtune
