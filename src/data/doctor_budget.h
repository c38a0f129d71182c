// What a run will take before it starts: the arithmetic of its steps, as the trainer does it, and
// the disk that caches and checkpoints need. Estimates for Stable Diffusion's own sizes; time and
// memory are not told here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/doctor.h"

namespace sdtune {

struct RunLength {
  int64_t max_train_steps = 1600;
  std::optional<int64_t> max_train_epochs;  // counts before max_train_steps
  int64_t gradient_accumulation_steps = 1;
};

struct StepPlan {
  int64_t pictures = 0;
  int64_t samples_per_epoch = 0;  // pictures with their repeats
  int64_t batches_per_epoch = 0;
  int64_t accumulation = 1;     // batches in a step
  int64_t steps_per_epoch = 0;  // the last one of an epoch may have fewer batches
  int64_t total_steps = 0;      // all 0 for an empty dataset
  int64_t epochs = 0;           // the last one may be cut short
  int64_t images_seen = 0;      // about, when it is
  bool ends_within_epoch = false;
};
StepPlan plan_steps(const Dataset& dataset, const RunLength& length);

struct SavePlan {
  std::optional<int64_t> every_n_steps;
  std::optional<int64_t> every_n_epochs;
  bool save_state = false;
  bool save_state_on_train_end = false;
  bool is_v2 = false;
  bool trains_text_encoder = false;
  int bytes_per_weight = 0;             // of --save_precision; 0: as trained
  std::optional<uint64_t> model_bytes;  // of the model file to start from
};

struct CheckpointNeeds {
  int64_t models = 0;        // saved over the whole run, the last one included
  uint64_t model_bytes = 0;  // of one
  int64_t states = 0;
  uint64_t state_bytes = 0;
  uint64_t total() const;  // at most 1 EB
};
CheckpointNeeds checkpoint_needs(const StepPlan& steps, const SavePlan& saves);

// Bytes of kept latents of the whole dataset, with the files' own overhead; `posterior` keeps mean
// and log-variance too.
uint64_t latent_bytes(const Dataset& dataset, bool posterior);

// A folder that is written to, and what is free there.
struct DiskPlace {
  std::string purpose;  // "checkpoints"
  std::filesystem::path folder;
  uint64_t needed = 0;
  uint64_t free = 0;
};

// The free bytes of the folder, or of the nearest one above it that exists.
uint64_t free_bytes_near(const std::filesystem::path& folder);

// A finding for each place without enough room; places with equally much free count as one disk.
std::vector<Finding> check_room(const std::vector<DiskPlace>& places);

std::string bytes_text(uint64_t bytes);  // "4.26 GB", in powers of 1000

}  // namespace sdtune
