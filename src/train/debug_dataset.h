// `train --debug_dataset`: what the training step would be given, without a model and without
// training.
#pragma once

#include "train/train_options.h"

namespace sdtune {

// Loads every batch of an epoch (of --max_train_epochs, where given), prints each one's shape,
// pictures and captions, then the rate of loading and the memory. Latents beside the pictures are
// read where --cache_latents_to_disk asks for them and all are there; nothing is encoded. Returns
// the exit code.
int debug_dataset(const TrainOptions& options);

}  // namespace sdtune
