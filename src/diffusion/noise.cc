#include "diffusion/noise.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/philox.h"

namespace sdtune {

namespace {

Random stream(const DrawPosition& position, Draw draw, int64_t sample) {
  return {position.seed, draw, static_cast<uint64_t>(position.step),
          static_cast<uint64_t>(position.first_sample + sample)};
}

void fill_normal(Random& random, at::Tensor tensor) {
  random.fill_normal({tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())});
}

// o n for each sample and channel: [B, C, 1, 1].
at::Tensor offsets(const DrawPosition& position, const NoiseSettings& settings,
                   const at::Tensor& latents) {
  const int64_t count = latents.size(0);
  at::Tensor strength = at::full({count, 1, 1, 1}, settings.offset, at::kFloat);
  at::Tensor normals = at::empty({count, latents.size(1), 1, 1}, at::kFloat);
  for (int64_t i = 0; i < count; ++i) {
    Random random = stream(position, Draw::kNoiseOffset, i);
    const double share = random.uniform();
    if (settings.offset_random_strength) strength[i] *= share;
    fill_normal(random, normals[i]);
  }
  strength = strength.to(latents.device());
  if (settings.adaptive_scale) {
    const at::Tensor means = latents.to(at::kFloat).mean({2, 3}, /*keepdim=*/true).abs();
    strength = (strength + *settings.adaptive_scale * means).clamp_min(0);
  }
  return strength * normals.to(latents.device());
}

// The sum of the coarser noises of one sample: [1, C, h, w] like `noise`.
at::Tensor with_coarser(Random random, const NoiseSettings& settings, const at::Tensor& noise) {
  const int64_t channels = noise.size(1), height = noise.size(2), width = noise.size(3);
  at::Tensor sum = noise;
  for (int64_t i = 0; i < settings.multires_iterations; ++i) {
    const double shrink = std::pow(2 + 2 * random.uniform(), static_cast<double>(i));
    const auto shrunk = [shrink](int64_t side) {
      return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(side) / shrink));
    };
    at::Tensor coarse = at::empty({1, channels, shrunk(height), shrunk(width)}, at::kFloat);
    fill_normal(random, coarse);
    const at::Tensor enlarged = at::upsample_bilinear2d(coarse.to(noise.device()), {height, width},
                                                        /*align_corners=*/false);
    sum = sum + enlarged * std::pow(settings.multires_discount, static_cast<double>(i));
    if (coarse.size(2) == 1 || coarse.size(3) == 1) break;
  }
  return sum / sum.std();
}

}  // namespace

at::Tensor training_noise(const DrawPosition& position, const NoiseSettings& settings,
                          const at::Tensor& latents) {
  at::Tensor noise =
      draw_noise(position, latents.sizes()).to(latents.device(), /*non_blocking=*/true);
  if (settings.offset != 0) noise = noise + offsets(position, settings, latents);
  if (settings.multires_iterations == 0) return noise;
  std::vector<at::Tensor> samples;
  for (int64_t i = 0; i < noise.size(0); ++i) {
    samples.push_back(
        with_coarser(stream(position, Draw::kCoarseNoise, i), settings, noise.slice(0, i, i + 1)));
  }
  return at::cat(samples);
}

at::Tensor perturbed_noise(const DrawPosition& position, const NoiseSettings& settings,
                           const at::Tensor& noise) {
  if (settings.ip_gamma == 0) return noise;
  at::Tensor added = at::empty(noise.sizes(), at::kFloat);
  for (int64_t i = 0; i < noise.size(0); ++i) {
    Random random = stream(position, Draw::kInputPerturbation, i);
    const double share = random.uniform();
    fill_normal(random, added[i]);
    added[i].mul_(settings.ip_gamma * (settings.ip_gamma_random_strength ? share : 1));
  }
  return noise + added.to(noise.device());
}

}  // namespace sdtune
