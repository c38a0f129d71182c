// Options of the learning rate's course over a run, with sd-scripts' names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "options/option.h"

namespace sdtune {

struct ScheduleOptions {
  std::string lr_scheduler = "constant";
  std::optional<std::string> lr_scheduler_type;
  std::vector<std::string> lr_scheduler_args;
  StepsOrRatio lr_warmup_steps;
  StepsOrRatio lr_decay_steps;
  int64_t lr_scheduler_num_cycles = 1;
  double lr_scheduler_power = 1;
  std::optional<int64_t> lr_scheduler_timescale;
  std::optional<double> lr_scheduler_min_lr_ratio;
  std::optional<std::filesystem::path> plot_lr;

  template <class V>
  void visit(V& v) {
    v.group("Learning-rate schedule");
    v("lr_scheduler", lr_scheduler,
      "How the learning rate changes over the run. adafactor leaves it to the optimizer's own "
      "rule; reduce_lr_on_plateau follows the mean loss of each epoch.",
      Choices{"constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts",
              "polynomial", "inverse_sqrt", "cosine_with_min_lr", "cosine_warmup_with_min_lr",
              "warmup_stable_decay", "piecewise_constant", "reduce_lr_on_plateau", "adafactor"});
    v("lr_scheduler_type", lr_scheduler_type,
      "A schedule of torch.optim.lr_scheduler by its class name, instead of --lr_scheduler: "
      "ConstantLR, LinearLR, StepLR, MultiStepLR, ExponentialLR, PolynomialLR, CosineAnnealingLR, "
      "CosineAnnealingWarmRestarts or OneCycleLR.");
    v("lr_scheduler_args", lr_scheduler_args,
      "Further settings of the schedule: decay_type=linear, step_rules=1:10,0.1:20,0.005, "
      "T_max=1000.");
    v("lr_warmup_steps", lr_warmup_steps,
      "Steps, or share of all steps, over which the rate rises from 0.");
    v("lr_decay_steps", lr_decay_steps,
      "Steps, or share of all steps, over which warmup_stable_decay falls at the end.");
    v("lr_scheduler_num_cycles", lr_scheduler_num_cycles,
      "Cycles of cosine_with_restarts; half periods of cosine_with_min_lr, "
      "cosine_warmup_with_min_lr and warmup_stable_decay.",
      Range{1, 1e6});
    v("lr_scheduler_power", lr_scheduler_power, "Power of polynomial.", Range{0, 100});
    v("lr_scheduler_timescale", lr_scheduler_timescale,
      "Steps in which inverse_sqrt falls by a factor of the square root of 2; the warm-up's when "
      "not given, or 10000.",
      Range{1, 1e12});
    v("lr_scheduler_min_lr_ratio", lr_scheduler_min_lr_ratio,
      "Share of the rate that cosine_with_min_lr, cosine_warmup_with_min_lr and "
      "warmup_stable_decay end at.",
      Range{0, 1});
    v("plot_lr", plot_lr,
      "Draw the learning rate over the run to this PNG file instead of training.", Unrecorded{});
  }
};

}  // namespace sdtune
