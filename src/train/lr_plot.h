// From the options to a run's learning-rate schedule, and that schedule as a picture.
#pragma once

#include <cstdint>
#include <memory>

#include "optim/lr_plateau.h"
#include "optim/lr_schedule.h"
#include "train/train_options.h"

namespace sdtune {

// The schedule; where it follows the loss, `plateau` is what it asks and must be told each loss.
struct RunSchedule {
  LrSchedule schedule;
  std::unique_ptr<LrPlateau> plateau;
};

// UsageError as make_lr_schedule() and make_torch_lr_schedule(), and for warm-up where the schedule
// has none.
RunSchedule make_run_schedule(const ScheduleOptions& options, double learning_rate,
                              int64_t total_steps);

// Draws the learning rate of each step to --plot_lr. Reads the pictures' headers where epochs are
// to be counted in steps, and no model. Error when the file cannot be written.
void plot_learning_rate(const TrainOptions& options);

}  // namespace sdtune
