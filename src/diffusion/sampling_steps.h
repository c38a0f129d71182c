// Which timesteps and sigmas a sampler's steps stand at: the spacings of Diffusers' schedulers,
// with tables rounded to fp32 where theirs are, for the values of a U-Net to come out the same.
#pragma once

#include <vector>

#include "diffusion/sampler.h"

namespace sdtune {

// sigma = sqrt((1 - a) / a) at each of the 1000 timesteps, rising. Where a is 0 it counts as 2^-24.
class SigmaTable {
 public:
  explicit SigmaTable(const NoiseSchedule& schedule);

  double largest() const { return sigmas_.back(); }
  double smallest() const { return sigmas_.front(); }

  // Between two timesteps linear in sigma.
  double sigma_at(double timestep) const;
  // Between two timesteps linear in log sigma; 0 and 999 beyond the ends.
  double timestep_at(double sigma) const;

 private:
  std::vector<double> sigmas_;
  std::vector<double> logs_;
};

// `steps` timesteps and one sigma more, the last being where the last step ends (0).
struct SigmaSteps {
  std::vector<double> timesteps;
  std::vector<double> sigmas;
};

// From 999 down to 0, evenly: what samplers on sigmas take. Karras sigmas run between those of the
// ends; `whole` rounds their timesteps.
SigmaSteps even_sigma_steps(const SigmaTable& table, const SamplerOptions& options,
                            bool whole = false);

// The first `steps` of steps + 1 even timesteps, rounded: what samplers on log SNR take.
SigmaSteps log_snr_steps(const SigmaTable& table, const SamplerOptions& options);

// The paths along such steps, each with one evaluation: with latents that are the picture plus
// sigma times noise, and with latents scaled to a variance of 1.
SamplerPath sigma_path(const SigmaSteps& steps);
SamplerPath log_snr_path(const SigmaSteps& steps);

// From sigma down to `down`, below `next`, and up to `next` again by new noise times `up`: as much
// of it as leaves nothing of the old noise beyond what the picture needs (k-diffusion's ancestral
// samplers with eta 1).
struct AncestralStep {
  double down = 0;
  double up = 0;
};
AncestralStep ancestral_step(double sigma, double next);

// `steps` whole timesteps 1000 / steps apart, falling. "Leading" ones end at the offset; where that
// would lead beyond 999 they end as high as they can. "Trailing" ones begin at 999.
std::vector<int64_t> leading_timesteps(int steps, int offset);
std::vector<int64_t> trailing_timesteps(int steps);

}  // namespace sdtune
