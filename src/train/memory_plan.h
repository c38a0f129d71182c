// How much memory a run will need at its peak, by part, told before the first step; what would make
// it less; and, at the end, what it was.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/dataset.h"
#include "train/train_options.h"
#include "train/trainee.h"

namespace sdtune {

// What is asked about: a run's own settings, or others that would need less.
struct MemorySettings {
  std::string optimizer_type;
  std::vector<std::string> optimizer_args;
  bool offload_optimizer = false;
  at::ScalarType weights = at::kFloat;
  at::ScalarType compute = at::kFloat;
  bool checkpointing = false;
  bool fused_backward = false;
  bool ema = false;
  const Hypernetwork* hypernetwork = nullptr;  // trained, and the U-Net beneath it frozen
};

// In bytes, of the process, or of the device on CUDA.
struct MemoryPlan {
  uint64_t loaded = 0;       // the program, the list of pictures, the weights of all three models
  uint64_t weights = 0;      // of what is trained; part of loaded
  uint64_t gradients = 0;    // all together, though not all live at the peak
  uint64_t update = 0;       // of the largest tensor, beside its gradient
  uint64_t optimizer = 0;    // its state, where that is
  uint64_t average = 0;      // --ema
  uint64_t activations = 0;  // all together, likewise
  uint64_t peak = 0;
};

// The run's own settings.
MemorySettings memory_settings(const TrainOptions& options, const Trainee& trainee);

// The largest bucket of the dataset counts.
MemoryPlan plan_memory(const Trainee& trainee, const Dataset& dataset,
                       const MemorySettings& settings);

// "--gradient_checkpointing would save 2.1 GB" for each setting that is not on yet and saves
// something worth it, largest first; with --train_batch_size=1 where batches are larger.
std::vector<std::string> memory_hints(const Trainee& trainee, const TrainOptions& options,
                                      const Dataset& dataset);

// What to say of a step that ran out of memory, with those hints.
Error no_memory_for_a_step(const c10::Error& error, const Trainee& trainee,
                           const TrainOptions& options, const Dataset& dataset);

// Logs the plan, and a warning with hints where the machine has less than it needs. Returns it.
MemoryPlan announce_memory(const Trainee& trainee, const TrainOptions& options,
                           const Dataset& dataset);

}  // namespace sdtune
