// Learning-rate schedules by sd-scripts' names, as pure functions of the optimizer step, with the
// formulas of Diffusers and Transformers. Schedules by torch's class names stand in
// lr_torch_schedule.h, the one that follows the loss in lr_plateau.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "optim/optimizer_arguments.h"

namespace sdtune {

struct LrSchedule {
  // The factor on the learning rate for the update that follows `step` updates.
  std::function<double(int64_t step)> factor = [](int64_t) { return 1.0; };
};

struct LrScheduleSettings {
  std::string name = "constant";
  int64_t total_steps = 0;
  int64_t warmup_steps = 0;
  int64_t decay_steps = 0;
  int64_t num_cycles = 1;
  double power = 1;
  double learning_rate = 0;  // polynomial ends at an absolute rate
  std::optional<int64_t> timescale;
  std::optional<double> min_lr_ratio;
  OptimizerArguments arguments;
};

// With W warm-up steps, D of decay, T in all, m the least ratio, p = (step - W) / (T - W); before W
// the factor is step / W where nothing else is said.
//   constant, adafactor         1 (Adafactor's own rule gives the rate)
//   constant_with_warmup        1
//   linear                      1 - p
//   cosine                      (1 + cos(2 pi num_cycles p)) / 2; the argument num_cycles is 0.5
//   cosine_with_restarts        (1 + cos(pi ((num_cycles p) mod 1))) / 2
//   polynomial                  from 1 to lr_end (1e-7, an absolute rate) with (1 - p)^power
//   inverse_sqrt                1 / sqrt((step + s - W) / s), s = timescale, W or 10000
//   cosine_with_min_lr          q (1 - m) + m, q = (1 + cos(pi num_cycles p)) / 2
//   cosine_warmup_with_min_lr   the same one step ahead; warm-up from warmup_lr_rate
//   warmup_stable_decay         warm-up from m; 1; over the last D steps down to m. Arguments
//                               warmup_type and decay_type: linear, cosine or 1-sqrt
//   piecewise_constant          the argument step_rules="1:10,0.1:20,0.005": 1 below step 10, 0.1
//                               below 20, then 0.005
// UsageError for other names, arguments that a schedule does not take, warm-up where there is
// none, and what a schedule needs and has not got.
LrSchedule make_lr_schedule(const LrScheduleSettings& settings);

// "key=value" words of --lr_scheduler_args: Python literals; a value that is none is text, as a
// shell takes quotes away. UsageError as OptimizerArguments.
OptimizerArguments read_schedule_arguments(const std::vector<std::string>& words);

// Calls `read` with a reader of the arguments, then refuses what it did not read. UsageError names
// --lr_scheduler_args and the schedule.
void read_schedule_settings(const OptimizerArguments& arguments, const std::string& schedule,
                            const std::function<void(ArgumentReader&)>& read);

}  // namespace sdtune
