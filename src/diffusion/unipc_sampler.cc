#include <ATen/ATen.h>

#include <cmath>

#include "diffusion/log_snr_solver.h"
#include "diffusion/sampler_families.h"

namespace sdtune {

namespace {

// UniPC of second order with B(h) = exp(h) - 1 ("bh2"), on the predicted picture (Zhao et al.
// 2023). Each evaluation first corrects the step that led to it, then predicts the next.
class UniPcSampler final : public Sampler {
 public:
  UniPcSampler(const SigmaSteps& steps, const SamplerOptions& options)
      : Sampler(log_snr_path(steps), options), levels_(log_snr_levels(steps)) {}

  at::Tensor step(const at::Tensor& output, size_t i, const at::Tensor& latents,
                  const DrawNoise& /*draw*/) override {
    const at::Tensor picture = predicted_picture(output, latents, levels_[i]);
    start_ = last_.defined() ? corrected(picture, i) : latents;
    before_ = last_;
    last_ = picture;
    second_order_ = before_.defined() && i + 1 < evaluations();
    const at::Tensor value = second_order_ ? half_way(last_, before_, ratio(i)) : last_;
    return move_latents(Follows::kPicture, start_, value, levels_[i], levels_[i + 1]);
  }

 private:
  double place(size_t i) const { return log_snr(levels_[i]); }

  // How far the evaluation before i lies from i, as a part of the step from i on; negative.
  double ratio(size_t i) const { return (place(i - 1) - place(i)) / (place(i + 1) - place(i)); }

  // The step from i - 1 to i once more, now that the picture at its end is known (UniC, eq. 5 with
  // the coefficients of theorem 3.1).
  at::Tensor corrected(const at::Tensor& picture, size_t i) const {
    at::Tensor value;
    if (second_order_) {
      const double r = ratio(i - 1);
      const double h = place(i - 1) - place(i);
      const double b = std::expm1(h);
      const double first = (b / h - 1) / b, second = 2 * ((b / h - 1) / h - 0.5) / b;
      const double behind = (first - second) / (1 - r);
      value = last_ + behind / r * (before_ - last_) + (first - behind) * (picture - last_);
    } else {
      value = (last_ + picture) / 2;
    }
    return move_latents(Follows::kPicture, start_, value, levels_[i - 1], levels_[i]);
  }

  std::vector<NoiseLevel> levels_;
  at::Tensor start_;          // of the step under way, corrected
  at::Tensor last_, before_;  // pictures of the latest two evaluations
  bool second_order_ = false;
};

}  // namespace

SamplerPointer make_unipc(const NoiseSchedule& schedule, const SamplerOptions& options) {
  const SigmaTable table(schedule);
  return std::make_unique<UniPcSampler>(log_snr_steps(table, options), options);
}

}  // namespace sdtune
