#include "diffusion/sampling_steps.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace sdtune {

namespace {

constexpr double kLastTimestep = kTrainTimesteps - 1;
constexpr double kLeastAlpha = 0x1p-24;
constexpr double kRho = 7;  // Karras et al. 2022, eq. 5

double rounded(double value) { return static_cast<float>(value); }

std::vector<double> values(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous();
  const float* data = flat.const_data_ptr<float>();
  return {data, data + flat.numel()};
}

// `count` numbers from 999 to 0; a single one is 0.
std::vector<double> falling(int count) {
  std::vector<double> result(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    result[static_cast<size_t>(count - 1 - i)] = i == 0 ? 0
                                                 : i == count - 1
                                                     ? kLastTimestep
                                                     : i * (kLastTimestep / (count - 1));
  }
  return result;
}

std::vector<double> karras_sigmas(double largest, double smallest, int steps) {
  const double low = std::pow(smallest, 1 / kRho), high = std::pow(largest, 1 / kRho);
  std::vector<double> sigmas;
  for (int i = 0; i < steps; ++i) {
    const double ramp = steps == 1 ? 0 : static_cast<double>(i) / (steps - 1);
    sigmas.push_back(std::pow(high + ramp * (low - high), kRho));
  }
  return sigmas;
}

SigmaSteps karras_steps(const SigmaTable& table, std::vector<double> sigmas, bool whole) {
  SigmaSteps result;
  for (double sigma : sigmas) {
    const double timestep = table.timestep_at(sigma);
    result.timesteps.push_back(whole ? std::nearbyint(timestep) : rounded(timestep));
    result.sigmas.push_back(rounded(sigma));
  }
  result.sigmas.push_back(0);
  return result;
}

SigmaSteps steps_at(const SigmaTable& table, std::vector<double> timesteps) {
  SigmaSteps result;
  for (double timestep : timesteps) result.sigmas.push_back(rounded(table.sigma_at(timestep)));
  result.sigmas.push_back(0);
  result.timesteps = std::move(timesteps);
  return result;
}

}  // namespace

SigmaTable::SigmaTable(const NoiseSchedule& schedule) {
  const at::Tensor given = schedule.alphas_cumprod.to(at::kFloat);
  const at::Tensor alphas = at::where(given == 0, kLeastAlpha, given);
  const at::Tensor sigmas = ((1 - alphas) / alphas).sqrt();
  sigmas_ = values(sigmas);
  logs_ = values(sigmas.log());
}

double SigmaTable::sigma_at(double timestep) const {
  const auto low = static_cast<size_t>(std::clamp(timestep, 0.0, kLastTimestep - 1));
  const double part = timestep - static_cast<double>(low);
  return sigmas_[low] + part * (sigmas_[low + 1] - sigmas_[low]);
}

double SigmaTable::timestep_at(double sigma) const {
  const double wanted = std::log(std::max(sigma, 1e-10));
  const auto above = std::upper_bound(logs_.begin(), logs_.end(), wanted) - logs_.begin();
  const auto low = static_cast<size_t>(std::clamp<int64_t>(above - 1, 0, kTrainTimesteps - 2));
  const double part = (wanted - logs_[low]) / (logs_[low + 1] - logs_[low]);
  return static_cast<double>(low) + std::clamp(part, 0.0, 1.0);
}

SigmaSteps even_sigma_steps(const SigmaTable& table, const SamplerOptions& options, bool whole) {
  std::vector<double> timesteps = falling(options.steps);
  if (options.karras) {
    const double largest = table.sigma_at(timesteps.front());
    const double smallest = table.sigma_at(timesteps.back());
    return karras_steps(table, karras_sigmas(largest, smallest, options.steps), whole);
  }
  for (double& timestep : timesteps) timestep = rounded(timestep);
  return steps_at(table, std::move(timesteps));
}

SigmaSteps log_snr_steps(const SigmaTable& table, const SamplerOptions& options) {
  if (options.karras) {
    const auto sigmas = karras_sigmas(table.largest(), table.smallest(), options.steps);
    return karras_steps(table, sigmas, true);
  }
  // Of 1001 timesteps two would round to the same, and a step have no length.
  std::vector<double> timesteps = falling(std::min<int>(options.steps + 1, kTrainTimesteps));
  timesteps.resize(static_cast<size_t>(options.steps));
  for (double& timestep : timesteps) timestep = std::nearbyint(timestep);
  return steps_at(table, std::move(timesteps));
}

SamplerPath sigma_path(const SigmaSteps& steps) {
  SamplerPath path{.timesteps = steps.timesteps, .initial_scale = steps.sigmas.front()};
  for (size_t i = 0; i < steps.timesteps.size(); ++i) {
    path.levels.push_back({1, steps.sigmas[i]});
    path.first.push_back(i);
  }
  return path;
}

SamplerPath log_snr_path(const SigmaSteps& steps) {
  SamplerPath path = sigma_path(steps);
  path.initial_scale = 1;
  for (NoiseLevel& level : path.levels) {
    const double scale = std::hypot(1, level.noise);
    level = {1 / scale, level.noise / scale};
  }
  return path;
}

AncestralStep ancestral_step(double sigma, double next) {
  const double part = next / sigma;
  return {next * part, next * std::sqrt(1 - part * part)};
}

std::vector<int64_t> leading_timesteps(int steps, int offset) {
  const int64_t apart = kTrainTimesteps / steps;
  const int64_t last = std::min<int64_t>(offset, kTrainTimesteps - 1 - (steps - 1) * apart);
  std::vector<int64_t> timesteps;
  for (int i = steps - 1; i >= 0; --i) timesteps.push_back(i * apart + last);
  return timesteps;
}

std::vector<int64_t> trailing_timesteps(int steps) {
  const double apart = static_cast<double>(kTrainTimesteps) / steps;
  std::vector<int64_t> timesteps;
  for (int i = 0; i < steps; ++i) {
    timesteps.push_back(std::llrint(static_cast<double>(kTrainTimesteps) - i * apart) - 1);
  }
  return timesteps;
}

}  // namespace sdtune
