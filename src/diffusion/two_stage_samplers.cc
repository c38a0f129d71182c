// heun, dpm_2 and dpm_2_a: steps on sigmas with two evaluations, but for the last, which has one.
#include <ATen/ATen.h>

#include <cmath>

#include "diffusion/sampler_families.h"
#include "diffusion/sampling_steps.h"

namespace sdtune {

namespace {

// From sigma to `end`, with the second evaluation at `middle`, where noise times `up` is added
// last.
struct TwoStages {
  double sigma = 0;
  double middle = 0;
  double end = 0;
  double up = 0;
};

struct TwoStagePlan {
  SamplerPath path;
  std::vector<TwoStages> steps;
};

// The plan of steps whose stages are stages(sigma, next).
template <class Stages>
TwoStagePlan make_plan(const SigmaTable& table, const SigmaSteps& steps, const Stages& stages) {
  TwoStagePlan plan;
  SamplerPath& path = plan.path;
  path.initial_scale = steps.sigmas[0];
  for (size_t i = 0; i < steps.timesteps.size(); ++i) {
    plan.steps.push_back(stages(steps.sigmas[i], steps.sigmas[i + 1]));
    path.first.push_back(path.timesteps.size());
    path.timesteps.push_back(steps.timesteps[i]);
    path.levels.push_back({1, steps.sigmas[i]});
    const double middle = plan.steps.back().middle;
    if (middle == 0) break;
    path.timesteps.push_back(middle == steps.sigmas[i + 1] ? steps.timesteps[i + 1]
                                                           : table.timestep_at(middle));
    path.levels.push_back({1, middle});
  }
  return plan;
}

// Heun's method (Karras et al. 2022, algorithm 1) takes the mean of both slopes, DPM-Solver-2 (Lu
// et al. 2022, as k-diffusion writes it) the second.
class TwoStageSampler final : public Sampler {
 public:
  TwoStageSampler(TwoStagePlan plan, const SamplerOptions& options, bool mean)
      : Sampler(std::move(plan.path), options), steps_(std::move(plan.steps)), mean_(mean) {}

  at::Tensor step(const at::Tensor& output, size_t i, const at::Tensor& latents,
                  const DrawNoise& draw) override {
    const TwoStages& stages = steps_[i / 2];
    const at::Tensor slope =
        (latents - predicted_picture(output, latents, level(i))) / level(i).noise;
    if (i % 2 == 0) {
      start_ = latents;
      first_slope_ = slope;
      return latents + slope * (stages.middle - stages.sigma);
    }
    const at::Tensor direction = mean_ ? (first_slope_ + slope) / 2 : slope;
    const at::Tensor result = start_ + direction * (stages.end - stages.sigma);
    return stages.up > 0 ? result + stages.up * draw() : result;
  }

 private:
  std::vector<TwoStages> steps_;
  bool mean_;
  at::Tensor start_, first_slope_;
};

// Half way in log sigma.
double between(double sigma, double end) { return std::sqrt(sigma * end); }

}  // namespace

SamplerPointer make_heun(const NoiseSchedule& schedule, const SamplerOptions& options) {
  const SigmaTable table(schedule);
  const auto stages = [](double sigma, double next) { return TwoStages{sigma, next, next, 0}; };
  return std::make_unique<TwoStageSampler>(
      make_plan(table, even_sigma_steps(table, options), stages), options, true);
}

SamplerPointer make_dpm_2(const NoiseSchedule& schedule, const SamplerOptions& options) {
  const SigmaTable table(schedule);
  const auto stages = [](double sigma, double next) {
    return TwoStages{sigma, between(sigma, next), next, 0};
  };
  return std::make_unique<TwoStageSampler>(
      make_plan(table, even_sigma_steps(table, options, true), stages), options, false);
}

SamplerPointer make_dpm_2_ancestral(const NoiseSchedule& schedule, const SamplerOptions& options) {
  const SigmaTable table(schedule);
  const auto stages = [](double sigma, double next) {
    const AncestralStep to = ancestral_step(sigma, next);
    return TwoStages{sigma, between(sigma, to.down), to.down, to.up};
  };
  return std::make_unique<TwoStageSampler>(
      make_plan(table, even_sigma_steps(table, options, true), stages), options, false);
}

}  // namespace sdtune
