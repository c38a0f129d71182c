// Noise that is more than white: an offset of whole channels, coarser noise added, and the
// perturbation of what the model sees. As sd-scripts has them, but each sample by itself: its noise
// depends on no other sample of the batch. Draws are pure functions (draws.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "diffusion/draws.h"

namespace sdtune {

struct NoiseSettings {
  double offset = 0;  // 0: none
  bool offset_random_strength = false;
  std::optional<double> adaptive_scale;  // of the offset
  int64_t multires_iterations = 0;       // 0: none
  double multires_discount = 0.3;
  double ip_gamma = 0;  // 0: none
  bool ip_gamma_random_strength = false;
};

// The noise that the model learns to predict, fp32 on the device of latents [B, C, h, w]:
// e ~ N(0, 1), to which is added
//   offset o      e + o n, n ~ N(0, 1) for each sample and channel. With random strength o is
//                 multiplied by a draw of [0, 1) for each sample; with adaptive scale a it becomes
//                 max(0, o + a |mean of the channel's latents|).
//   multires      for i = 0, 1, …: noise of 1/r^i of the size (r from 2 to 4, drawn), bilinearly
//                 enlarged, times discount^i, until a side is 1; then all is divided by the
//                 sample's standard deviation (Whitaker, "Multi-resolution noise", 2023).
at::Tensor training_noise(const DrawPosition& position, const NoiseSettings& settings,
                          const at::Tensor& latents);

// The noise that is added to the latents: noise + g n, n ~ N(0, 1), g = ip_gamma, with random
// strength times a draw of [0, 1) for each sample (Ning et al. 2023, "Input perturbation"). The
// target keeps the noise itself. Where ip_gamma is 0 the noise comes back.
at::Tensor perturbed_noise(const DrawPosition& position, const NoiseSettings& settings,
                           const at::Tensor& noise);

}  // namespace sdtune
