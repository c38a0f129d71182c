#include "diffusion/log_snr_solver.h"

#include <ATen/ATen.h>

#include <cmath>

namespace sdtune {

double log_snr(const NoiseLevel& level) { return std::log(level.signal) - std::log(level.noise); }

std::vector<NoiseLevel> log_snr_levels(const SigmaSteps& steps) {
  std::vector<NoiseLevel> levels;
  for (double sigma : steps.sigmas) {
    const double signal = 1 / std::hypot(1, sigma);
    levels.push_back({signal, sigma * signal});
  }
  return levels;
}

at::Tensor move_latents(Follows follows, const at::Tensor& latents, const at::Tensor& value,
                        const NoiseLevel& from, const NoiseLevel& to) {
  const double length = log_snr(to) - log_snr(from);
  if (follows == Follows::kPicture) {
    return to.noise / from.noise * latents - to.signal * std::expm1(-length) * value;
  }
  return to.signal / from.signal * latents - to.noise * std::expm1(length) * value;
}

at::Tensor half_way(const at::Tensor& here, const at::Tensor& other, double r) {
  return here + (other - here) / (2 * r);
}

}  // namespace sdtune
