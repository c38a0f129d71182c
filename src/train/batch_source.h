// Where a run's batches come from: its pictures, or latents that were kept of them.
#pragma once

#include <memory>

#include "data/item_source.h"
#include "data/latent_cache.h"
#include "train/dataset_setup.h"
#include "train/train_options.h"
#include "train/trainee.h"

namespace sdtune {

struct BatchSource {
  ItemSource items;
  std::unique_ptr<LatentCache> latents;  // what `items` reads from; null where the VAE is still
                                         // needed for each batch
  int signal = 0;                        // that ended it before it was done; 0 for none
};

// Keeps latents where that is asked for, encoding what is missing, and finds those that `prepare`
// left. `data` must outlive the source; the trainee must have its VAE. Errors as
// LatentCache::fill().
BatchSource make_batch_source(const TrainOptions& options, const DatasetSetup& data,
                              const Trainee& trainee);

}  // namespace sdtune
