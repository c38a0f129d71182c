#include "diffusion/noise_schedule.h"

#include <cmath>

namespace sdtune {

namespace {

// The coefficient of each sample, shaped [B, 1, 1, 1].
at::Tensor gather(const at::Tensor& coefficients, const at::Tensor& timesteps) {
  return coefficients.index_select(0, timesteps).view({-1, 1, 1, 1});
}

}  // namespace

NoiseSchedule scaled_linear_schedule() {
  const at::Tensor betas =
      at::linspace(std::sqrt(0.00085), std::sqrt(0.012), kTrainTimesteps, at::kFloat).square();
  return {(1 - betas).cumprod(0)};
}

NoiseSchedule with_zero_terminal_snr(const NoiseSchedule& schedule) {
  const at::Tensor s = schedule.alphas_cumprod.sqrt();
  const at::Tensor first = s[0], last = s[-1];
  return {((s - last) * (first / (first - last))).square()};
}

at::Tensor signal_to_noise(const NoiseSchedule& schedule, const at::Tensor& timesteps) {
  const at::Tensor a = schedule.alphas_cumprod.index_select(0, timesteps);
  return a / (1 - a);
}

at::Tensor add_noise(const NoiseSchedule& schedule, const at::Tensor& x, const at::Tensor& noise,
                     const at::Tensor& timesteps) {
  const at::Tensor a = gather(schedule.alphas_cumprod, timesteps);
  return a.sqrt() * x.to(at::kFloat) + (1 - a).sqrt() * noise.to(at::kFloat);
}

at::Tensor velocity(const NoiseSchedule& schedule, const at::Tensor& x, const at::Tensor& noise,
                    const at::Tensor& timesteps) {
  const at::Tensor a = gather(schedule.alphas_cumprod, timesteps);
  return a.sqrt() * noise.to(at::kFloat) - (1 - a).sqrt() * x.to(at::kFloat);
}

}  // namespace sdtune
