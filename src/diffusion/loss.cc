#include "diffusion/loss.h"

#include <ATen/ATen.h>

#include <cmath>

namespace sdtune {

namespace {

constexpr double kLargestSnr = 1000;  // sd-scripts' bound, for timesteps without noise

// [B, 1, 1, 1]
at::Tensor huber_c(const LossSettings& settings, const NoiseSchedule& schedule,
                   const at::Tensor& timesteps) {
  const at::Tensor t = timesteps.to(at::kFloat);
  at::Tensor c;
  switch (settings.huber_schedule) {
    case HuberSchedule::kConstant:
      c = at::full_like(t, settings.huber_c * settings.huber_scale);
      break;
    case HuberSchedule::kExponential:
      c = (t * (std::log(settings.huber_c) / kTrainTimesteps)).exp() * settings.huber_scale;
      break;
    case HuberSchedule::kSnr: {
      const at::Tensor sigma = signal_to_noise(schedule, timesteps).rsqrt();
      c = (1 - settings.huber_c) / (1 + sigma).square() + settings.huber_c;
      break;
    }
  }
  return c.view({-1, 1, 1, 1});
}

}  // namespace

at::Tensor element_losses(const LossSettings& settings, const NoiseSchedule& schedule,
                          const at::Tensor& timesteps, const at::Tensor& prediction,
                          const at::Tensor& target) {
  const at::Tensor d = prediction.to(at::kFloat) - target.to(at::kFloat);
  if (settings.type == LossType::kL1) return d.abs();
  const at::Tensor square = d.square();
  if (settings.type == LossType::kL2) return square;
  const at::Tensor c = huber_c(settings, schedule, timesteps);
  // sqrt(d^2 + c^2) - c without the difference of two near numbers.
  const at::Tensor distance = square / ((square + c.square()).sqrt() + c);
  return 2 * (settings.type == LossType::kHuber ? c * distance : distance);
}

at::Tensor sample_losses(const at::Tensor& elements, const std::optional<at::Tensor>& mask,
                         bool normalize) {
  if (!mask) return elements.mean({1, 2, 3});
  const at::Tensor masked = (elements * *mask).mean({1, 2, 3});
  return normalize ? masked / mask->mean({1, 2, 3}).clamp_min(1e-6) : masked;
}

at::Tensor loss_weights(const LossSettings& settings, const NoiseSchedule& schedule,
                        const at::Tensor& timesteps) {
  const at::Tensor s = signal_to_noise(schedule, timesteps);
  const at::Tensor all = schedule.alphas_cumprod / (1 - schedule.alphas_cumprod);
  const at::Tensor smallest = at::where(all > 0, all, at::full_like(all, kLargestSnr)).min();
  const at::Tensor m = s.clamp_max(kLargestSnr);
  const at::Tensor divisor = at::maximum(m, smallest);
  at::Tensor weights = at::ones_like(s);
  if (settings.min_snr_gamma) {
    const at::Tensor clipped = s.clamp_max(*settings.min_snr_gamma);
    weights = weights * (settings.predicts_v ? clipped / (s + 1)
                                             : (*settings.min_snr_gamma / s).clamp_max(1));
  }
  if (settings.scale_v_pred_loss_like_noise_pred) weights = weights * (m / (m + 1));
  if (settings.v_pred_like_loss) {
    weights = weights * (1 + *settings.v_pred_like_loss * ((divisor + 1) / divisor));
  }
  if (settings.debiased_estimation_loss) {
    weights = weights * (settings.predicts_v ? 1 / (m + 1) : divisor.rsqrt());
  }
  return weights;
}

at::Tensor latent_mask(const at::Tensor& mask, at::IntArrayRef latent_size) {
  return at::adaptive_avg_pool2d(mask, latent_size);
}

}  // namespace sdtune
