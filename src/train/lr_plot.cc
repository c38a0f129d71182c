#include "train/lr_plot.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "data/epoch_plan.h"
#include "image/plot.h"
#include "optim/lr_torch_schedule.h"
#include "train/dataset_setup.h"

namespace sdtune {

namespace {

constexpr int64_t kMostPoints = 4000;  // more than the picture has columns

void refuse_warmup(int64_t warmup_steps, const std::string& schedule) {
  if (warmup_steps == 0) return;
  throw UsageError(fmt::format("{} has no warm-up", schedule), "--lr_warmup_steps",
                   "leave it at 0");
}

LineSeries curve(const std::string& label, const LrSchedule& schedule, double rate, int64_t steps) {
  LineSeries series{.label = label};
  const int64_t stride = std::max<int64_t>(1, steps / kMostPoints);
  for (int64_t step = 0; step < steps; step += stride) {
    series.x.push_back(static_cast<double>(step));
    series.y.push_back(rate * schedule.factor(step));
  }
  return series;
}

}  // namespace

RunSchedule make_run_schedule(const ScheduleOptions& options, double learning_rate,
                              int64_t total_steps) {
  const OptimizerArguments arguments = read_schedule_arguments(options.lr_scheduler_args);
  const int64_t warmup = options.lr_warmup_steps.of(total_steps);
  if (options.lr_scheduler_type) {
    refuse_warmup(warmup, *options.lr_scheduler_type);
    return {
        make_torch_lr_schedule(*options.lr_scheduler_type, arguments, learning_rate, total_steps),
        nullptr};
  }
  if (options.lr_scheduler == "reduce_lr_on_plateau") {
    refuse_warmup(warmup, options.lr_scheduler);
    auto plateau = std::make_unique<LrPlateau>(arguments, learning_rate);
    return {{[following = plateau.get()](int64_t) { return following->factor(); }},
            std::move(plateau)};
  }
  return {make_lr_schedule(
              {options.lr_scheduler, total_steps, warmup, options.lr_decay_steps.of(total_steps),
               options.lr_scheduler_num_cycles, options.lr_scheduler_power, learning_rate,
               options.lr_scheduler_timescale, options.lr_scheduler_min_lr_ratio, arguments}),
          nullptr};
}

void plot_learning_rate(const TrainOptions& options) {
  int64_t steps = options.run.max_train_steps;
  if (options.run.max_train_epochs) {
    const int64_t accumulation = options.run.gradient_accumulation_steps;
    const int64_t batches = batches_per_epoch(read_dataset(options.dataset).dataset);
    steps = *options.run.max_train_epochs * ((batches + accumulation - 1) / accumulation);
  }
  const double rate = options.optimizer.learning_rate;
  const std::optional<double>& text_rate = options.optimizer.learning_rate_te;
  const RunSchedule run = make_run_schedule(options.schedule, rate, steps);
  if (run.plateau) {
    throw UsageError("reduce_lr_on_plateau follows the loss, which is not known before the run",
                     "--plot_lr");
  }
  LinePlot plot{.title = fmt::format("Learning rate over {} steps", steps),
                .x_label = "step",
                .y_label = "learning rate",
                .series = {curve(text_rate ? "U-Net" : "", run.schedule, rate, steps)}};
  if (text_rate) plot.series.push_back(curve("text encoder", run.schedule, *text_rate, steps));
  if (text_rate) plot.series.back().colour = 1;
  write_line_plot(*options.schedule.plot_lr, plot);
  log_info("the learning rate over {} steps is drawn in {}", steps,
           options.schedule.plot_lr->string());
}

}  // namespace sdtune
