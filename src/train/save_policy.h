// When a run writes models and which earlier ones go: sd-scripts' rules and rules by time and by
// count. Pure functions; writing and removing is the trainer's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "train/output_names.h"
#include "train/save_options.h"

namespace sdtune {

// Where the run stands after a step.
struct SavePlace {
  int64_t step = 0;           // optimizer steps done
  bool is_end = false;        // of the run
  int64_t epoch = 0;          // whose batch was the last one, from 1
  bool ends_epoch = false;    // that was the epoch's last batch
  double minutes_passed = 0;  // since the last save that --save_every_n_minutes brought
};

struct DueSaves {
  std::vector<SaveMoment> moments;  // without repeats
  bool timed = false;               // one of them because of the time passed
};

// Epochs from one save to the next, 0 for none; `epochs` of the whole run.
int64_t epochs_between_saves(const SaveOptions& options, int64_t epochs);

// `every_epochs` from epochs_between_saves(). The last epoch has no save of its own.
DueSaves due_saves(const SaveOptions& options, int64_t every_epochs, const SavePlace& place);

// What is kept of the models, or of the states.
struct Retention {
  int64_t every_n_epochs = 0, every_n_steps = 0;  // 0: not saved for that
  std::optional<int64_t> last_n_epochs, last_n_steps, last_n;
};

Retention model_retention(const SaveOptions& options, int64_t every_epochs);
Retention state_retention(const SaveOptions& options, int64_t every_epochs);

// Which of the saves that are there go, now that `saved` has been written. Those of a later step
// are another run's and are left alone; an epoch's save counts as of the epoch's last step.
std::vector<SaveMoment> outdated_saves(const Retention& retention, SaveMoment saved,
                                       std::span<const SaveMoment> there, int64_t steps_per_epoch);

// The saves under way in `folder`, by their names; `path_of` names a save.
std::vector<SaveMoment> saves_in(const std::filesystem::path& folder,
                                 const std::function<std::filesystem::path(SaveMoment)>& path_of);

}  // namespace sdtune
