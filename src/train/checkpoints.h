// The models and states that a run writes, and the removal of those that its options keep no
// longer. A write that fails costs a warning and an event, and leaves what was there before.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

#include "train/output_names.h"
#include "train/run_folder.h"
#include "train/save_policy.h"
#include "train/state.h"
#include "train/trainee.h"

namespace sdtune {

// Told of each model and state that is on disk, before others are removed for it. The last of a run
// are its end's.
struct SavedPlace {
  std::filesystem::path path;
  bool is_state = false;
  bool is_last = false;
};
using SaveListener = std::function<void(const SavedPlace&)>;

// What a state holds of the trainee, sharing its memory.
TrainedTensors trained_tensors(Trainee& trainee);

class Checkpoints {
 public:
  // All must outlive it. `every_epochs` from epochs_between_saves().
  Checkpoints(const TrainOptions& options, Trainee& trainee, RunFolder& record,
              int64_t every_epochs, int64_t steps_per_epoch);

  void on_saved(SaveListener listener) { on_saved_ = std::move(listener); }

  // True when it is on disk, from now or because this run has written it for this moment already.
  // With an average of the weights the model of that is written too, and counts as much.
  bool save_model(SaveMoment moment, const Position& position);
  bool save_state(SaveMoment moment, const RunState& state);

  // The newest state that this run has written or resumed from.
  const std::optional<std::filesystem::path>& last_state() const { return last_state_; }
  void resumed_from(const std::filesystem::path& state) { last_state_ = state; }

 private:
  using PathOf = std::function<std::filesystem::path(SaveMoment)>;

  bool save_one_model(SaveMoment moment, const Position& position, bool ema);
  bool attempt(const char* event, const std::filesystem::path& path, int64_t step,
               const std::function<void()>& write);
  void remove_outdated(const Retention& retention, SaveMoment saved, const PathOf& path_of);

  const TrainOptions& options_;
  Trainee& trainee_;
  RunFolder& record_;
  int64_t every_epochs_;
  int64_t steps_per_epoch_;
  SaveListener on_saved_ = [](const SavedPlace&) {};
  std::optional<SaveMoment> last_model_;
  std::optional<std::filesystem::path> last_state_;
};

}  // namespace sdtune
