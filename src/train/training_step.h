// One optimizer step: from loaded batches to changed weights.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/loader.h"
#include "train/trace.h"
#include "train/trainee.h"

namespace sdtune {

// Where a step stands, for its random draws.
struct StepPlace {
  uint64_t seed = 0;
  int64_t step = 0;  // optimizer steps done before
  int64_t batch_size =
      1;  // of a full batch: places in the global batch do not move when one is short
  double lr_factor = 1;
};

struct Clipping {
  double max_norm = 0;      // 0 is off
  bool per_tensor = false;  // each gradient by itself, not all together
};

struct StepResult {
  int64_t images = 0;                 // 0: nothing could be read, nothing was changed
  double loss = 0;                    // mean over the batches
  double grad_norm = 0;               // before clipping
  bool updated = false;               // false also when fp16 gradients overflowed
  std::vector<double> sample_losses;  // of each picture, before weights of timesteps and pictures
  std::vector<int64_t> timesteps;     // as many
  // Loss and gradients; an overflow that a smaller loss scale may cure does not count.
  bool finite = true;
  std::string bad_tensor;              // the first that is not, "" when it is none of the model's
  std::optional<int64_t> bad_latents;  // the item of the first that are not, in such a step
  // VAE and text; forward and backward; clip and optimizer. The host's: on CUDA only the sum tells
  // how long the device took.
  double encode_s = 0, unet_s = 0, update_s = 0;
};

// The batches of one step (as many as are accumulated); those without pictures count for nothing.
StepResult training_step(Trainee& trainee, std::span<const LoadedBatch> batches,
                         const StepPlace& place, const Clipping& clipping, Trace& trace);

}  // namespace sdtune
