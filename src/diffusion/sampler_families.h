// The samplers behind the names of sampler.h, one function for each Diffusers scheduler. Options
// are taken as they are: make_sampler checks them.
#pragma once

#include "diffusion/sampler.h"

namespace sdtune {

// pndm starts with three Runge-Kutta steps and needs one more to use them.
inline constexpr int kPndmLeastSteps = 4;
// lcm takes its timesteps from the fifty that models are distilled at.
inline constexpr int kLcmMostSteps = 50;

using SamplerPointer = std::unique_ptr<Sampler>;

// On alphas_cumprod, at whole timesteps.
SamplerPointer make_ddim(const NoiseSchedule& schedule, const SamplerOptions& options);
SamplerPointer make_pndm(const NoiseSchedule& schedule, const SamplerOptions& options);
SamplerPointer make_lcm(const NoiseSchedule& schedule, const SamplerOptions& options);

// On sigmas, latents being the picture plus sigma times noise.
SamplerPointer make_euler(const NoiseSchedule& schedule, const SamplerOptions& options);
SamplerPointer make_euler_ancestral(const NoiseSchedule& schedule, const SamplerOptions& options);
SamplerPointer make_lms(const NoiseSchedule& schedule, const SamplerOptions& options);
SamplerPointer make_heun(const NoiseSchedule& schedule, const SamplerOptions& options);
SamplerPointer make_dpm_2(const NoiseSchedule& schedule, const SamplerOptions& options);
SamplerPointer make_dpm_2_ancestral(const NoiseSchedule& schedule, const SamplerOptions& options);

// On the logarithm of the signal-to-noise ratio, latents having a variance of 1.
SamplerPointer make_dpm_solver(const NoiseSchedule& schedule, const SamplerOptions& options);
SamplerPointer make_dpm_solver_plus(const NoiseSchedule& schedule, const SamplerOptions& options);
SamplerPointer make_dpm_solver_single(const NoiseSchedule& schedule, const SamplerOptions& options);
SamplerPointer make_unipc(const NoiseSchedule& schedule, const SamplerOptions& options);

}  // namespace sdtune
