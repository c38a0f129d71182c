// From the options of a command to the dataset it works on.
#pragma once

#include <memory>
#include <vector>

#include "data/dataset.h"
#include "data/latent_cache.h"
#include "train/data_options.h"

namespace sdtune {

// Checks across options: UsageError for what cannot be meant, a logged warning for what is odd.
void validate(const DataOptions& options);

// What the options ask for: --dataset_config's datasets, or one with one subset. Errors as
// read_dataset_config().
std::vector<DatasetOptions> dataset_options(const DataOptions& options);

// Whether latents that lie beside the pictures are used without being asked for: where the metadata
// alone says the sizes, as `prepare` leaves it.
bool uses_found_latents(const DataOptions& options);

// Threads that read pictures: as asked, but no more than the machine has.
int loader_threads(const DataOptions& options);

struct DatasetSetup {
  Dataset dataset;
  std::unique_ptr<ImageIndex> index;  // that of its first folder
};
DatasetSetup read_dataset(const DataOptions& options);

LatentCacheOptions latent_cache_options(const DataOptions& options, ImageIndex* index);

// The report in one or two lines of the log.
void log_report(const LatentCacheReport& report);

}  // namespace sdtune
