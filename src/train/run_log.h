// What a run tells while it goes: a line of progress, events of steps and validations in the run
// folder, and scalars for TensorBoard under sd-scripts' tags (that of validation is its
// LoRA trainer's).
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>

#include "base/progress.h"
#include "optim/optimizer.h"
#include "train/run_folder.h"
#include "train/tensorboard_writer.h"
#include "train/train_options.h"
#include "train/training_step.h"
#include "train/validation.h"

namespace sdtune {

struct StepFacts {
  int64_t step = 0;      // optimizer steps done, this one included
  double lr_factor = 1;  // the schedule's for this step
  double data_s = 0;     // that the step waited for its batches
};

// "data_s" and "step_s" for the record, and on a CPU the step's parts. On CUDA the host only sends
// a part on its way, and waits for all of them in the last.
nlohmann::ordered_json times_of(const StepResult& result, double data_s, c10::Device device);

class RunLog {
 public:
  // `window` is the number of batches whose losses avr_loss and loss/epoch are the mean of. Error
  // when --logging_dir cannot be written to. `folder` and `optimizer` must outlive the log.
  RunLog(const TrainOptions& options, RunFolder& folder, const Optimizer& optimizer,
         c10::Device device, int64_t window);

  void step(const StepResult& result, const StepFacts& facts, Progress& progress);
  void end_of_epoch(int64_t epoch);  // counted from 1
  void validation(int64_t step, const ValidationResult& result, double seconds);

 private:
  double average_loss() const;
  void write_scalars(int64_t step, std::span<const Scalar> values);

  RunFolder& folder_;
  const Optimizer& optimizer_;
  c10::Device device_;
  int64_t window_;
  std::deque<double> recent_losses_;
  std::optional<TensorBoardWriter> tensorboard_;
};

}  // namespace sdtune
