// Options of the loss and of what each sample counts in it. What they mean together is checked in
// objective.h.
#pragma once

#include <cstdint>
#include <optional>

#include "diffusion/loss.h"
#include "options/option.h"

namespace sdtune {

inline EnumNames<LossType> loss_type_names() {
  return {{"l2", LossType::kL2},
          {"l1", LossType::kL1},
          {"huber", LossType::kHuber},
          {"smooth_l1", LossType::kSmoothL1}};
}

inline EnumNames<HuberSchedule> huber_schedule_names() {
  return {{"snr", HuberSchedule::kSnr},
          {"constant", HuberSchedule::kConstant},
          {"exponential", HuberSchedule::kExponential}};
}

struct LossOptions {
  LossType loss_type = LossType::kL2;
  HuberSchedule huber_schedule = HuberSchedule::kSnr;
  double huber_c = 0.1;
  double huber_scale = 1;
  std::optional<double> min_snr_gamma;
  bool scale_v_pred_loss_like_noise_pred = false;
  std::optional<double> v_pred_like_loss;
  bool debiased_estimation_loss = false;
  bool masked_loss = false;
  bool masked_loss_normalize = false;
  int64_t loss_bands_every_n_steps = 100;

  template <class V>
  void visit(V& v) {
    v.group("Loss");
    v("loss_type", loss_type, "Square, absolute value, or one of the two that lie between.",
      loss_type_names());
    v("huber_schedule", huber_schedule,
      "How the bend of huber and smooth_l1 depends on the timestep.", huber_schedule_names());
    v("huber_c", huber_c, "Where huber and smooth_l1 bend from square to straight.",
      Range{1e-6, 1e3});
    v("huber_scale", huber_scale, "Multiplies the bend, except for --huber_schedule=snr.",
      Range{1e-6, 1e3});
    v("min_snr_gamma", min_snr_gamma,
      "Weigh timesteps with little noise down, from this signal-to-noise ratio on; 5 is usual.",
      Range{1e-6, 1e6});
    v("scale_v_pred_loss_like_noise_pred", scale_v_pred_loss_like_noise_pred,
      "Weigh the loss of v as that of noise would be; for models that predict v.");
    v("v_pred_like_loss", v_pred_like_loss,
      "Add this much of the loss weighed as that of v would be; for models that predict noise.",
      Range{0, 1e6});
    v("debiased_estimation_loss", debiased_estimation_loss,
      "Weigh by 1 / sqrt(signal-to-noise ratio).");
    v("masked_loss", masked_loss,
      "Count each place of a picture by its mask: --alpha_mask, or --conditioning_data_dir.");
    v("masked_loss_normalize", masked_loss_normalize,
      "Divide by the mask's mean, so that a small subject counts as much as a large one.");
    v("loss_bands_every_n_steps", loss_bands_every_n_steps,
      "Record the loss by bands of timesteps each n steps; 0 is never.", Range{0, 1e12});
  }
};

}  // namespace sdtune
