// The forward process of Stable Diffusion: coefficients, noisy latents, targets. Coefficients are
// fp32 whatever the model computes in: rounded to bf16 the noise factor of the first steps would be
// zero.
#pragma once

#include <ATen/core/Tensor.h>

namespace sdtune {

inline constexpr int64_t kTrainTimesteps = 1000;

// alphas_cumprod: [1000] fp32 on the CPU, for betas = linspace(sqrt(0.00085), sqrt(0.012), 1000)^2,
// computed in fp32 as Diffusers' DDPMScheduler("scaled_linear") does.
struct NoiseSchedule {
  at::Tensor alphas_cumprod;
  NoiseSchedule to(at::Device device) const { return {alphas_cumprod.to(device)}; }
};

NoiseSchedule scaled_linear_schedule();

// The same schedule moved so that nothing of the picture is left at its last step (Lin et al. 2023,
// algorithm 1): with s = sqrt(alphas_cumprod), s becomes (s - s_last) s_0 / (s_0 - s_last).
NoiseSchedule with_zero_terminal_snr(const NoiseSchedule& schedule);

// a / (1 - a) at each timestep: [B] fp32. 0 at the last step of a zero-terminal schedule.
at::Tensor signal_to_noise(const NoiseSchedule& schedule, const at::Tensor& timesteps);

// sqrt(a_t) x + sqrt(1 - a_t) noise (DDPM, Ho et al. 2020, eq. 4). x and noise [B, C, h, w];
// timesteps [B] int64 on the schedule's device -> fp32.
at::Tensor add_noise(const NoiseSchedule& schedule, const at::Tensor& x, const at::Tensor& noise,
                     const at::Tensor& timesteps);

// v = sqrt(a_t) noise - sqrt(1 - a_t) x (Salimans & Ho 2022). Shapes as add_noise.
at::Tensor velocity(const NoiseSchedule& schedule, const at::Tensor& x, const at::Tensor& noise,
                    const at::Tensor& timesteps);

}  // namespace sdtune
