// dpmsolver, dpmsolver++ and dpmsingle: the second-order solvers of Lu et al. 2022 in their
// midpoint form.
#include <ATen/ATen.h>

#include "diffusion/log_snr_solver.h"
#include "diffusion/sampler_families.h"

namespace sdtune {

namespace {

// DPM-Solver's last step has to end above zero noise, or the noise it follows would count for
// infinitely much.
SigmaSteps steps_of(const SigmaTable& table, const SamplerOptions& options, Follows follows) {
  SigmaSteps steps = log_snr_steps(table, options);
  if (follows == Follows::kNoise) steps.sigmas.back() = table.smallest();
  return steps;
}

class DpmSolverSampler : public Sampler {
 public:
  DpmSolverSampler(const SigmaSteps& steps, const SamplerOptions& options, Follows follows)
      : Sampler(log_snr_path(steps), options), follows_(follows), levels_(log_snr_levels(steps)) {}

 protected:
  // Where evaluation i stands on the axis of lambda.
  double place(size_t i) const { return log_snr(levels_[i]); }

  at::Tensor followed(const at::Tensor& output, size_t i, const at::Tensor& latents) const {
    return follows_ == Follows::kPicture ? predicted_picture(output, latents, levels_[i])
                                         : predicted_noise(output, latents, levels_[i]);
  }

  at::Tensor moved(const at::Tensor& latents, const at::Tensor& value, size_t from,
                   size_t to) const {
    return move_latents(follows_, latents, value, levels_[from], levels_[to]);
  }

  Follows follows() const { return follows_; }

 private:
  Follows follows_;
  std::vector<NoiseLevel> levels_;
};

// The multistep solver: each step continues the line from the evaluation before.
class DpmMultistepSampler final : public DpmSolverSampler {
 public:
  using DpmSolverSampler::DpmSolverSampler;

  at::Tensor step(const at::Tensor& output, size_t i, const at::Tensor& latents,
                  const DrawNoise& /*draw*/) override {
    const at::Tensor value = followed(output, i, latents);
    at::Tensor direction = value;
    if (previous_.defined() && !of_first_order(i)) {
      const double r = (place(i - 1) - place(i)) / (place(i + 1) - place(i));
      direction = half_way(value, previous_, r);
    }
    previous_ = value;
    return moved(latents, direction, i, i + 1);
  }

 private:
  static constexpr size_t kFewSteps = 15;  // where a last step of second order is unstable

  bool of_first_order(size_t i) const {
    return i + 1 == evaluations() && (follows() == Follows::kPicture || evaluations() < kFewSteps);
  }

  at::Tensor previous_;
};

// The singlestep solver: a step of first order, and then one of second order that starts at the
// same place and goes twice as far. The last is of first order.
class DpmSinglestepSampler final : public DpmSolverSampler {
 public:
  using DpmSolverSampler::DpmSolverSampler;

  at::Tensor step(const at::Tensor& output, size_t i, const at::Tensor& latents,
                  const DrawNoise& /*draw*/) override {
    const at::Tensor value = followed(output, i, latents);
    const bool second = i % 2 == 1 && i + 1 < evaluations() && start_.defined();
    if (!second) {
      start_ = latents;
      value_at_start_ = value;
      return moved(latents, value, i, i + 1);
    }
    const double r = (place(i) - place(i - 1)) / (place(i + 1) - place(i - 1));
    return moved(start_, half_way(value_at_start_, value, r), i - 1, i + 1);
  }

 private:
  at::Tensor start_, value_at_start_;
};

template <class T>
SamplerPointer make(const NoiseSchedule& schedule, const SamplerOptions& options, Follows follows) {
  return std::make_unique<T>(steps_of(SigmaTable(schedule), options, follows), options, follows);
}

}  // namespace

SamplerPointer make_dpm_solver(const NoiseSchedule& schedule, const SamplerOptions& options) {
  return make<DpmMultistepSampler>(schedule, options, Follows::kNoise);
}

SamplerPointer make_dpm_solver_plus(const NoiseSchedule& schedule, const SamplerOptions& options) {
  return make<DpmMultistepSampler>(schedule, options, Follows::kPicture);
}

SamplerPointer make_dpm_solver_single(const NoiseSchedule& schedule,
                                      const SamplerOptions& options) {
  return make<DpmSinglestepSampler>(schedule, options, Follows::kPicture);
}

}  // namespace sdtune
