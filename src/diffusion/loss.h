// How far a prediction is from its target, and how much each sample's distance counts: the losses
// and weights of sd-scripts, in fp32. Signal-to-noise ratios are those of the schedule in use, also
// where its terminal ratio was made zero.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "diffusion/noise_schedule.h"

namespace sdtune {

enum class LossType { kL2, kL1, kHuber, kSmoothL1 };
enum class HuberSchedule { kConstant, kExponential, kSnr };

struct LossSettings {
  LossType type = LossType::kL2;
  HuberSchedule huber_schedule = HuberSchedule::kSnr;
  double huber_c = 0.1;
  double huber_scale = 1;  // of constant and exponential
  std::optional<double> min_snr_gamma;
  bool scale_v_pred_loss_like_noise_pred = false;
  bool debiased_estimation_loss = false;
  std::optional<double> v_pred_like_loss;
  bool predicts_v = false;
};

// The loss of each element, d = prediction - target: [B, C, h, w] fp32.
//   l2         d^2
//   l1         |d|
//   huber      2 c (sqrt(d^2 + c^2) - c), and smooth_l1 2 (sqrt(d^2 + c^2) - c), where c is
//     constant     huber_c huber_scale
//     exponential  huber_c^(t / 1000) huber_scale
//     snr          (1 - huber_c) / (1 + sigma)^2 + huber_c, sigma = sqrt((1 - a_t) / a_t)
at::Tensor element_losses(const LossSettings& settings, const NoiseSchedule& schedule,
                          const at::Tensor& timesteps, const at::Tensor& prediction,
                          const at::Tensor& target);

// The mean over C, h and w: [B]. With a mask [B, 1, h, w] each element counts by it; then
// `normalize` divides by the mask's mean, so that a small subject weighs as much as a large one,
// and a mask that is empty gives 0.
at::Tensor sample_losses(const at::Tensor& elements, const std::optional<at::Tensor>& mask,
                         bool normalize);

// What each sample's loss is multiplied with: [B] fp32, the product of those that are on, with s
// the signal-to-noise ratio.
//   min_snr_gamma g                    min(s, g) / s, or min(s, g) / (s + 1) for v
//                                      (Hang et al. 2023)
//   scale_v_pred_loss_like_noise_pred  m / (m + 1), m = min(s, 1000)
//   v_pred_like_loss k                 1 + k (m + 1) / m
//   debiased_estimation_loss           1 / sqrt(m), or 1 / (m + 1) for v (Yu et al. 2024)
// Where s is 0 and it divides, the smallest ratio above 0 of the schedule stands for it.
at::Tensor loss_weights(const LossSettings& settings, const NoiseSchedule& schedule,
                        const at::Tensor& timesteps);

// A picture's mask [B, 1, H, W] at the latents' size [h, w], by the mean of each area.
at::Tensor latent_mask(const at::Tensor& mask, at::IntArrayRef latent_size);

}  // namespace sdtune
