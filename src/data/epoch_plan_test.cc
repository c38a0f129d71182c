#include "data/epoch_plan.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <map>
#include <set>

namespace sdtune {
namespace {

// The n-th bucket has the n-th batch size.
Dataset dataset_of(const std::vector<std::pair<int, int>>& bucket_and_repeats,
                   const std::vector<int>& batch_sizes) {
  Dataset dataset;
  for (size_t b = 0; b < batch_sizes.size(); ++b) {
    dataset.buckets.push_back({{64, 64 * static_cast<int>(b + 1)}, 0, batch_sizes[b]});
  }
  for (const auto& [bucket, repeats] : bucket_and_repeats) {
    Item item;
    item.bucket = bucket;
    item.repeats = repeats;
    dataset.items.push_back(item);
  }
  return dataset;
}

std::vector<std::pair<int64_t, int64_t>> order_of(const std::vector<Batch>& plan) {
  std::vector<std::pair<int64_t, int64_t>> order;
  for (const Batch& batch : plan) {
    for (const PlannedSample& sample : batch.samples) order.push_back({sample.item, sample.repeat});
  }
  return order;
}

RC_GTEST_PROP(EpochPlan, EveryPictureExactlyItsRepeatsInFullBatches, ()) {
  const int buckets = *rc::gen::inRange(1, 5);
  const auto items = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, buckets), rc::gen::inRange(1, 4)));
  const auto batch_sizes = *rc::gen::container<std::vector<int>>(buckets, rc::gen::inRange(1, 6));
  const Dataset dataset = dataset_of(items, batch_sizes);
  const auto plan =
      plan_epoch(dataset, *rc::gen::arbitrary<uint64_t>(), *rc::gen::inRange<int64_t>(0, 1000));
  std::map<std::pair<int64_t, int64_t>, int> seen;
  std::map<int64_t, int> short_batches;
  for (const Batch& batch : plan) {
    const int batch_size = batch_sizes[batch.bucket];
    RC_ASSERT(!batch.samples.empty() && static_cast<int>(batch.samples.size()) <= batch_size);
    short_batches[batch.bucket] += static_cast<int>(batch.samples.size()) < batch_size;
    for (const PlannedSample& sample : batch.samples) {
      const Item& item = dataset.items[sample.item];
      RC_ASSERT(item.bucket == batch.bucket);
      RC_ASSERT(sample.repeat >= 0 && sample.repeat < item.repeats);
      ++seen[{sample.item, sample.repeat}];
    }
  }
  for (const auto& [bucket, count] : short_batches) RC_ASSERT(count <= 1);
  RC_ASSERT(static_cast<int64_t>(seen.size()) == dataset.samples_per_epoch());
  for (const auto& [sample, count] : seen) RC_ASSERT(count == 1);
  RC_ASSERT(static_cast<int64_t>(plan.size()) == batches_per_epoch(dataset));
}

TEST(EpochPlan, EachBucketHasItsBatchSize) {
  std::vector<std::pair<int, int>> items(5, {0, 2});
  items.insert(items.end(), 4, {1, 1});
  const Dataset dataset = dataset_of(items, {4, 3});
  std::multiset<std::pair<int64_t, size_t>> sizes;
  for (const Batch& batch : plan_epoch(dataset, 1, 0)) {
    sizes.insert({batch.bucket, batch.samples.size()});
  }
  EXPECT_EQ(sizes,
            (std::multiset<std::pair<int64_t, size_t>>{{0, 4}, {0, 4}, {0, 2}, {1, 3}, {1, 1}}));
  EXPECT_EQ(batches_per_epoch(dataset), 5);
}

TEST(EpochPlan, IsAFunctionOfSeedAndEpoch) {
  const Dataset dataset = dataset_of(std::vector<std::pair<int, int>>(40, {0, 1}), {4});
  const auto order = order_of(plan_epoch(dataset, 7, 3));
  EXPECT_EQ(order, order_of(plan_epoch(dataset, 7, 3)));
  EXPECT_NE(order, order_of(plan_epoch(dataset, 7, 4)));
  EXPECT_NE(order, order_of(plan_epoch(dataset, 8, 3)));
}

TEST(EpochPlan, BucketsInterleave) {
  std::vector<std::pair<int, int>> items(50, {0, 1});
  items.insert(items.end(), 50, {1, 1});
  int changes = 0;
  const auto plan = plan_epoch(dataset_of(items, {1, 1}), 1, 0);
  for (size_t i = 1; i < plan.size(); ++i) changes += plan[i].bucket != plan[i - 1].bucket;
  EXPECT_GT(changes, 25);
}

TEST(EpochPlan, NoPicturesNoBatches) {
  EXPECT_TRUE(plan_epoch(dataset_of({}, {2}), 0, 0).empty());
  EXPECT_EQ(batches_per_epoch(dataset_of({}, {2})), 0);
}

}  // namespace
}  // namespace sdtune
