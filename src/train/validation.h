// Pictures that are kept out of training, and the loss on them: always the same noise at the same
// timesteps, so that two figures of a run, or of two runs, differ by the model alone. Pictures are
// encoded once, without augmentation; captions are neither shuffled nor dropped.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "train/loss_bands.h"
#include "train/trainee.h"
#include "train/validation_options.h"

namespace sdtune {

// Takes the pictures of --validation_split out of `dataset`, at least one, and returns them as a
// dataset of their own, in the same buckets; none when no split is asked for. Which pictures is a
// function of --validation_seed and each picture's key. UsageError when none would be left to train
// on.
std::optional<Dataset> take_validation_pictures(Dataset& dataset, const ValidationOptions& options);

struct ValidationResult {
  LossBands bands;       // the plain loss, before weights of timesteps and pictures
  int64_t pictures = 0;  // each measured once in each band
};

class Validation {
 public:
  // Encodes the pictures, with the VAE that the trainee must still have. One that cannot be read is
  // named in a warning and left out; Error when none can, and with the picture's name when the VAE
  // makes latents of it that are not finite.
  Validation(const Dataset& dataset, const Trainee& trainee, const ValidationOptions& options);

  bool is_due(int64_t step, bool ends_epoch, int64_t epochs_done) const;

  // With the averaged weights where the optimizer has them. Changes nothing of the trainee.
  ValidationResult measure(Trainee& trainee) const;

 private:
  struct Batch {
    int64_t bucket = 0;
    int64_t first_sample = 0;         // counts all pictures, for their draws
    std::vector<at::Tensor> latents;  // [1, 4, h, w] each, scaled, on the CPU
    std::vector<std::string> captions;
  };

  // False when the picture cannot be read. `number` counts those that can.
  bool add(const Dataset& dataset, const Item& item, const Trainee& trainee, int64_t number);

  ValidationOptions options_;
  std::vector<Batch> batches_;
};

}  // namespace sdtune
