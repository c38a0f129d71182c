#include "data/epoch_plan.h"

#include "base/philox.h"

namespace sdtune {

int64_t batches_per_epoch(const Dataset& dataset) {
  std::vector<int64_t> counts(dataset.buckets.size());
  for (const Item& item : dataset.items) counts[item.bucket] += item.repeats;
  int64_t batches = 0;
  for (size_t b = 0; b < counts.size(); ++b) {
    const int64_t batch_size = dataset.buckets[b].batch_size;
    batches += (counts[b] + batch_size - 1) / batch_size;
  }
  return batches;
}

std::vector<Batch> plan_epoch(const Dataset& dataset, uint64_t seed, int64_t epoch) {
  std::vector<std::vector<PlannedSample>> buckets(dataset.buckets.size());
  for (size_t i = 0; i < dataset.items.size(); ++i) {
    const Item& item = dataset.items[i];
    for (int64_t repeat = 0; repeat < item.repeats; ++repeat) {
      buckets[item.bucket].push_back({static_cast<int64_t>(i), repeat});
    }
  }
  Random random(seed, Draw::kEpochOrder, static_cast<uint64_t>(epoch));
  std::vector<Batch> batches;
  for (size_t b = 0; b < buckets.size(); ++b) {
    random.shuffle(buckets[b]);
    for (size_t i = 0; i < buckets[b].size(); ++i) {
      if (i % dataset.buckets[b].batch_size == 0) batches.push_back({static_cast<int64_t>(b), {}});
      batches.back().samples.push_back(buckets[b][i]);
    }
  }
  random.shuffle(batches);
  return batches;
}

}  // namespace sdtune
