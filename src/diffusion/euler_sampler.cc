#include <ATen/ATen.h>

#include "diffusion/sampler_families.h"
#include "diffusion/sampling_steps.h"

namespace sdtune {

namespace {

// Euler's method on the probability flow (Karras et al. 2022, algorithm 1, without its churn); the
// ancestral one goes down further and adds new noise.
class EulerSampler final : public Sampler {
 public:
  EulerSampler(SigmaSteps steps, const SamplerOptions& options, bool ancestral)
      : Sampler(sigma_path(steps), options),
        sigmas_(std::move(steps.sigmas)),
        ancestral_(ancestral) {}

  at::Tensor step(const at::Tensor& output, size_t i, const at::Tensor& latents,
                  const DrawNoise& draw) override {
    const double sigma = sigmas_[i];
    const AncestralStep to =
        ancestral_ ? ancestral_step(sigma, sigmas_[i + 1]) : AncestralStep{sigmas_[i + 1], 0};
    const at::Tensor slope = (latents - predicted_picture(output, latents, level(i))) / sigma;
    const at::Tensor result = latents + slope * (to.down - sigma);
    return to.up > 0 ? result + to.up * draw() : result;
  }

 private:
  std::vector<double> sigmas_;
  bool ancestral_;
};

}  // namespace

SamplerPointer make_euler(const NoiseSchedule& schedule, const SamplerOptions& options) {
  return std::make_unique<EulerSampler>(even_sigma_steps(SigmaTable(schedule), options), options,
                                        false);
}

SamplerPointer make_euler_ancestral(const NoiseSchedule& schedule, const SamplerOptions& options) {
  return std::make_unique<EulerSampler>(even_sigma_steps(SigmaTable(schedule), options), options,
                                        true);
}

}  // namespace sdtune
