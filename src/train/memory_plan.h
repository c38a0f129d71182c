// How much memory a run will need at its peak, by part, told before the first step; what would make
// it less; and, at the end, what it was.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "train/train_options.h"
#include "train/trainee.h"

namespace sdtune {

// What is asked about: a run's own settings, or others that would need less.
struct MemorySettings {
  std::string optimizer_type;
  at::ScalarType weights = at::kFloat;
  at::ScalarType compute = at::kFloat;
  bool checkpointing = false;
  bool fused_backward = false;
  bool ema = false;
  bool frozen_unet = false;  // beneath a hypernetwork
};

// In bytes. `loaded` is what the process holds as the models have been read: the program, the
// weights of all three models, decoded pictures.
struct MemoryPlan {
  uint64_t loaded = 0;
  uint64_t weights = 0;      // of what is trained; part of loaded
  uint64_t gradients = 0;    // all together, though not all live at the peak
  uint64_t optimizer = 0;    // its state
  uint64_t average = 0;      // --ema
  uint64_t activations = 0;  // all together, likewise
  uint64_t peak = 0;         // of the process, or of the device on CUDA
};

// The run's own settings.
MemorySettings memory_settings(const TrainOptions& options, const Trainee& trainee);

// `loaded` as in MemoryPlan. The largest bucket of the dataset counts.
MemoryPlan plan_memory(const Trainee& trainee, const TrainOptions& options, const Dataset& dataset,
                       const MemorySettings& settings, uint64_t loaded);

// "--gradient_checkpointing would save 2.1 GB" for each setting that is not on yet and saves
// something worth it, largest first; with --train_batch_size=1 where batches are larger.
std::vector<std::string> memory_hints(const Trainee& trainee, const TrainOptions& options,
                                      const Dataset& dataset, uint64_t loaded);

// Logs the plan, and a warning with hints where the machine has less than it needs. Returns it.
MemoryPlan announce_memory(const Trainee& trainee, const TrainOptions& options,
                           const Dataset& dataset);

}  // namespace sdtune
