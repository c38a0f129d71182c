// The order of an epoch: a pure function of the dataset, the seed and the epoch's number, so that a
// resumed run, and every process of one run, sees the same batches with nothing stored.
#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"

namespace sdtune {

// One appearance of a picture in an epoch; `repeat` counts from 0.
struct PlannedSample {
  int64_t item = 0;
  int64_t repeat = 0;
};

struct Batch {
  int64_t bucket = 0;
  std::vector<PlannedSample> samples;
};

// Batches an epoch has: for each bucket its samples over its batch size, rounded up.
int64_t batches_per_epoch(const Dataset& dataset);

// Every picture exactly `repeats` times, each batch from one bucket, a bucket's last batch as short
// as it falls. Pictures are shuffled within their bucket, then the batches of all buckets. Epochs
// count from 0.
std::vector<Batch> plan_epoch(const Dataset& dataset, uint64_t seed, int64_t epoch);

}  // namespace sdtune
