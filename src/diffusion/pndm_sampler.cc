#include <ATen/ATen.h>

#include <deque>

#include "diffusion/alpha_levels.h"
#include "diffusion/sampler_families.h"

namespace sdtune {

namespace {

constexpr size_t kRungeKuttaSteps = 3;
constexpr size_t kStages = 4;
constexpr size_t kRungeKuttaEvaluations = kRungeKuttaSteps * kStages;

// The timesteps of PNDM's evaluations, the levels they lead to, and where steps begin.
struct PndmPath {
  SamplerPath path;
  std::vector<NoiseLevel> targets;
};

PndmPath make_path(const AlphaLevels& levels, const SamplerOptions& options) {
  const std::vector<int64_t> steps = levels.timesteps(options);
  const int64_t apart = kTrainTimesteps / options.steps;
  std::vector<int64_t> evaluated, targets;
  PndmPath result;
  for (size_t step = 0; step < kRungeKuttaSteps; ++step) {
    result.path.first.push_back(evaluated.size());
    const int64_t next = steps[step + 1], middle = next + apart / 2;
    evaluated.insert(evaluated.end(), {steps[step], middle, middle, next});
    targets.insert(targets.end(), {steps[step] - apart / 2, middle, next, next});
  }
  for (size_t step = kRungeKuttaSteps; step < steps.size(); ++step) {
    result.path.first.push_back(evaluated.size());
    evaluated.push_back(steps[step]);
    // The last step leads to the first timestep, whose noise stays.
    targets.push_back(std::max<int64_t>(steps[step] - apart, 0));
  }
  for (int64_t timestep : evaluated) {
    result.path.timesteps.push_back(static_cast<double>(timestep));
    result.path.levels.push_back(levels.at(timestep));
  }
  for (int64_t timestep : targets) result.targets.push_back(levels.at(timestep));
  return result;
}

// Pseudo numerical methods (Liu et al. 2022): three Runge-Kutta steps of four evaluations each
// (eq. 13), then linear multistep ones of fourth order (eq. 12), of lower order while there are
// fewer outputs, as after a start in the middle. Outputs are combined as they are, v too.
class PndmSampler final : public Sampler {
 public:
  PndmSampler(PndmPath path, const SamplerOptions& options)
      : Sampler(std::move(path.path), options), targets_(std::move(path.targets)) {}

  at::Tensor step(const at::Tensor& output, size_t i, const at::Tensor& latents,
                  const DrawNoise& /*draw*/) override {
    const at::Tensor out = output.to(at::kFloat);
    return i < kRungeKuttaEvaluations ? runge_kutta(out, i, latents) : multistep(out, i, latents);
  }

 private:
  at::Tensor runge_kutta(const at::Tensor& output, size_t i, const at::Tensor& latents) {
    const size_t stage = i % kStages;
    if (stage == 0) {
      start_ = latents;
      outputs_.push_front(output);
      sum_ = output / 6;
    } else if (stage < 3) {
      sum_ = sum_ + output / 3;
    }
    const at::Tensor direction = stage < 3 ? output : sum_ + output / 6;
    return moved(direction, start_, level(i - stage), targets_[i]);
  }

  at::Tensor multistep(const at::Tensor& output, size_t i, const at::Tensor& latents) {
    outputs_.push_front(output);
    if (outputs_.size() > 4) outputs_.pop_back();
    return moved(extrapolated(), latents, level(i), targets_[i]);
  }

  // Adams and Bashforth's rule for as many outputs as there are.
  at::Tensor extrapolated() const {
    const auto& e = outputs_;
    switch (e.size()) {
      case 1:
        return e[0];
      case 2:
        return (3 * e[0] - e[1]) / 2;
      case 3:
        return (23 * e[0] - 16 * e[1] + 5 * e[2]) / 12;
      default:
        return (55 * e[0] - 59 * e[1] + 37 * e[2] - 9 * e[3]) / 24;
    }
  }

  // The transfer of eq. 11, in the form that also holds where the signal is 0.
  at::Tensor moved(const at::Tensor& output, const at::Tensor& latents, const NoiseLevel& from,
                   const NoiseLevel& to) const {
    return to.signal * predicted_picture(output, latents, from) +
           to.noise * predicted_noise(output, latents, from);
  }

  std::vector<NoiseLevel> targets_;
  std::deque<at::Tensor> outputs_;  // the latest first
  at::Tensor start_, sum_;          // of the Runge-Kutta step
};

}  // namespace

SamplerPointer make_pndm(const NoiseSchedule& schedule, const SamplerOptions& options) {
  return std::make_unique<PndmSampler>(make_path(AlphaLevels(schedule), options), options);
}

}  // namespace sdtune
