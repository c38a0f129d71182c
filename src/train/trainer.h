// A whole run: sets up, steps, writes models and states, stops when it is told to.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <memory>

#include "base/progress.h"
#include "data/loader.h"
#include "train/batch_source.h"
#include "train/checkpoints.h"
#include "train/dataset_setup.h"
#include "train/loss_bands.h"
#include "train/lr_plot.h"
#include "train/memory_plan.h"
#include "train/nan_guard.h"
#include "train/output_names.h"
#include "train/previews.h"
#include "train/run_control.h"
#include "train/run_folder.h"
#include "train/run_log.h"
#include "train/save_policy.h"
#include "train/state.h"
#include "train/train_options.h"
#include "train/trainee.h"
#include "train/training_step.h"
#include "train/validation.h"

namespace sdtune {

class Trainer {
 public:
  // Reads the pictures' headers and the model, and the state when the run resumes. `options` must
  // be validated and outlive the trainer; a seed that was not given is drawn (or the state's) and
  // stored in them. `prompts` are the previews', as read_preview_prompts() gives them.
  Trainer(TrainOptions& options, at::Device device, std::vector<PromptLine> prompts = {});

  // Called on the run's thread, which it holds up; what it throws ends the run.
  void on_saved(SaveListener listener) { checkpoints_->on_saved(std::move(listener)); }

  // Trains to the end. Returns the exit code: 0, also when it was paused or its time was up;
  // 128 + the signal that stopped it; 1 when the last model or state could not be written. Saves
  // under way that fail cost a warning. Error when losses stay not finite.
  int run();

 private:
  void resume_from(const std::filesystem::path& folder);
  // Weights, optimizer and loss scale of a state that was read.
  void take_weights(const std::filesystem::path& folder, const RunState& state);
  void announce() const;
  std::vector<LoadedBatch> next_batches(BatchLoader& loader) const;
  void advance(const LoadedBatch& last);
  bool is_over() const;
  StepResult step(std::span<const LoadedBatch> batches);
  void record_loss_bands(const StepResult& result);
  void validate_if_due(const LoadedBatch& last);
  void preview_if_due(const LoadedBatch& last);
  StopRequest train();
  void guard(const StepResult& result, std::span<const LoadedBatch> batches);
  void go_back();
  void save_due_at(const LoadedBatch& last);
  bool save_run_state(SaveMoment moment);
  void close_record();
  int finish();
  int stop(StopRequest request);
  void save_before_failure();
  int64_t epochs() const;
  RunState run_state() const;

  TrainOptions& options_;
  std::optional<std::filesystem::path> start_;  // the state that the run goes on from
  DatasetSetup data_;
  std::optional<Dataset> validation_pictures_;
  std::optional<Validation> validation_;
  LossBands loss_bands_;
  Trainee trainee_;
  RunSchedule schedule_;
  int64_t batches_per_epoch_;
  int64_t total_steps_;
  Position position_;
  std::unique_ptr<RunFolder> run_folder_;
  std::unique_ptr<Previews> previews_;
  Trace trace_;
  BatchSource source_;
  std::unique_ptr<Checkpoints> checkpoints_;
  std::unique_ptr<RunControl> control_;
  std::unique_ptr<RunLog> log_;
  NanGuard nan_guard_;
  MemoryPlan memory_;
  std::chrono::steady_clock::time_point last_timed_save_ = std::chrono::steady_clock::now();
};

}  // namespace sdtune
