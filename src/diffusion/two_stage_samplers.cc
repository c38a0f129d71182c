// heun, dpm_2 and dpm_2_a: steps on sigmas with two evaluations, but for the last, which has one.
#include <ATen/ATen.h>

#include <cmath>

#include "diffusion/sampler_families.h"
#include "diffusion/sampling_steps.h"

namespace sdtune {

namespace {

enum class Method { kHeun, kDpm2, kDpm2Ancestral };

// A step from sigma to `end`, with its second evaluation at `middle`, and noise times `up` added
// last. With a middle of 0 there is no second evaluation.
struct TwoStages {
  double sigma = 0;
  double middle = 0;
  double end = 0;
  double up = 0;
};

TwoStages stages_of(Method method, double sigma, double next) {
  if (method == Method::kHeun) return {sigma, next, next, 0};
  const AncestralStep to =
      method == Method::kDpm2 ? AncestralStep{next, 0} : ancestral_step(sigma, next);
  // Half way in log sigma.
  return {sigma, std::sqrt(sigma * to.down), to.down, to.up};
}

struct TwoStagePlan {
  SamplerPath path;
  std::vector<TwoStages> steps;
};

TwoStagePlan make_plan(Method method, const SigmaTable& table, const SigmaSteps& steps) {
  TwoStagePlan plan;
  SamplerPath& path = plan.path;
  const auto evaluate = [&](double timestep, double sigma) {
    path.timesteps.push_back(timestep);
    path.levels.push_back({1, sigma});
  };
  path.initial_scale = steps.sigmas[0];
  for (size_t i = 0; i < steps.timesteps.size(); ++i) {
    const TwoStages stages = stages_of(method, steps.sigmas[i], steps.sigmas[i + 1]);
    plan.steps.push_back(stages);
    path.first.push_back(path.timesteps.size());
    evaluate(steps.timesteps[i], stages.sigma);
    if (stages.middle == 0) break;
    evaluate(method == Method::kHeun ? steps.timesteps[i + 1] : table.timestep_at(stages.middle),
             stages.middle);
  }
  return plan;
}

// Heun's method (Karras et al. 2022, algorithm 1) takes the mean of both slopes, DPM-Solver-2 (Lu
// et al. 2022, as k-diffusion writes it) the second.
class TwoStageSampler final : public Sampler {
 public:
  TwoStageSampler(Method method, TwoStagePlan plan, const SamplerOptions& options)
      : Sampler(std::move(plan.path), options), method_(method), steps_(std::move(plan.steps)) {}

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
    const at::Tensor direction = method_ == Method::kHeun ? (first_slope_ + slope) / 2 : slope;
    const at::Tensor result = start_ + direction * (stages.end - stages.sigma);
    return stages.up > 0 ? result + stages.up * draw() : result;
  }

 private:
  Method method_;
  std::vector<TwoStages> steps_;
  at::Tensor start_, first_slope_;
};

SamplerPointer make(Method method, const NoiseSchedule& schedule, const SamplerOptions& options) {
  const SigmaTable table(schedule);
  const bool whole = method != Method::kHeun;
  TwoStagePlan plan = make_plan(method, table, even_sigma_steps(table, options, whole));
  return std::make_unique<TwoStageSampler>(method, std::move(plan), options);
}

}  // namespace

SamplerPointer make_heun(const NoiseSchedule& schedule, const SamplerOptions& options) {
  return make(Method::kHeun, schedule, options);
}

SamplerPointer make_dpm_2(const NoiseSchedule& schedule, const SamplerOptions& options) {
  return make(Method::kDpm2, schedule, options);
}

SamplerPointer make_dpm_2_ancestral(const NoiseSchedule& schedule, const SamplerOptions& options) {
  return make(Method::kDpm2Ancestral, schedule, options);
}

}  // namespace sdtune
