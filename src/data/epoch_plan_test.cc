#include "data/epoch_plan.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <map>

#include "base/error.h"

namespace sdtune {
namespace {

Dataset dataset_of(const std::vector<std::pair<int, int>>& bucket_and_repeats, int buckets) {
  Dataset dataset;
  for (int b = 0; b < buckets; ++b) dataset.buckets.push_back({64, 64 * (b + 1)});
  for (const auto& [bucket, repeats] : bucket_and_repeats) {
    Item item;
    item.bucket = bucket;
    item.repeats = repeats;
    dataset.items.push_back(item);
  }
  return dataset;
}

std::vector<std::pair<int64_t, int>> order_of(const std::vector<Batch>& plan) {
  std::vector<std::pair<int64_t, int>> order;
  for (const Batch& batch : plan) {
    for (const PlannedSample& sample : batch.samples) order.push_back({sample.item, sample.repeat});
  }
  return order;
}

RC_GTEST_PROP(EpochPlan, EveryPictureExactlyItsRepeatsInFullBatches, ()) {
  const int buckets = *rc::gen::inRange(1, 5);
  const auto items = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, buckets), rc::gen::inRange(1, 4)));
  const Dataset dataset = dataset_of(items, buckets);
  const int batch_size = *rc::gen::inRange(1, 6);
  const auto plan = plan_epoch(dataset, batch_size, *rc::gen::arbitrary<uint64_t>(),
                               *rc::gen::inRange<int64_t>(0, 1000));
  std::map<std::pair<int64_t, int>, int> seen;
  std::map<int64_t, int> short_batches;
  for (const Batch& batch : plan) {
    RC_ASSERT(!batch.samples.empty() && static_cast<int>(batch.samples.size()) <= batch_size);
    short_batches[batch.bucket] += static_cast<int>(batch.samples.size()) < batch_size;
    for (const PlannedSample& sample : batch.samples) {
      RC_ASSERT(dataset.items[sample.item].bucket == batch.bucket);
      ++seen[{sample.item, sample.repeat}];
    }
  }
  for (const auto& [bucket, count] : short_batches) RC_ASSERT(count <= 1);
  RC_ASSERT(static_cast<int64_t>(seen.size()) == dataset.samples_per_epoch());
  for (const auto& [sample, count] : seen) RC_ASSERT(count == 1);
  RC_ASSERT(static_cast<int64_t>(plan.size()) == batches_per_epoch(dataset, batch_size));
}

TEST(EpochPlan, IsAFunctionOfSeedAndEpoch) {
  const Dataset dataset = dataset_of(std::vector<std::pair<int, int>>(40, {0, 1}), 1);
  const auto order = order_of(plan_epoch(dataset, 4, 7, 3));
  EXPECT_EQ(order, order_of(plan_epoch(dataset, 4, 7, 3)));
  EXPECT_NE(order, order_of(plan_epoch(dataset, 4, 7, 4)));
  EXPECT_NE(order, order_of(plan_epoch(dataset, 4, 8, 3)));
}

TEST(EpochPlan, BucketsInterleave) {
  std::vector<std::pair<int, int>> items(50, {0, 1});
  items.insert(items.end(), 50, {1, 1});
  int changes = 0;
  const auto plan = plan_epoch(dataset_of(items, 2), 1, 1, 0);
  for (size_t i = 1; i < plan.size(); ++i) changes += plan[i].bucket != plan[i - 1].bucket;
  EXPECT_GT(changes, 25);
}

TEST(EpochPlan, BatchSizeBelowOneIsAUsageError) {
  EXPECT_THROW(plan_epoch(dataset_of({{0, 1}}, 1), 0, 0, 0), UsageError);
}

}  // namespace
}  // namespace sdtune
