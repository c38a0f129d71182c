#include "data/small_buckets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace sdtune {
namespace {

using Counts = std::map<Size, int64_t>;
using Targets = std::map<Size, std::optional<Size>>;

constexpr Size kTall{448, 576}, kSquare{512, 512}, kWide{576, 448}, kWider{640, 384};

TEST(SmallBuckets, StayForShortBatches) {
  EXPECT_EQ(settle_small_buckets({{kTall, 1}, {kWide, 9}}, 4, SmallBuckets::kShortBatch),
            (Targets{{kTall, kTall}, {kWide, kWide}}));
}

TEST(SmallBuckets, AreDropped) {
  EXPECT_EQ(settle_small_buckets({{kTall, 3}, {kSquare, 4}, {kWide, 0}}, 4, SmallBuckets::kDrop),
            (Targets{{kTall, std::nullopt}, {kSquare, kSquare}, {kWide, std::nullopt}}));
}

TEST(SmallBuckets, GoToTheNearestShapeThatHasABatch) {
  EXPECT_EQ(settle_small_buckets({{kTall, 8}, {kSquare, 3}, {kWide, 1}, {kWider, 4}}, 4,
                                 SmallBuckets::kMerge),
            (Targets{{kTall, kTall}, {kSquare, kTall}, {kWide, kWider}, {kWider, kWider}}));
}

TEST(SmallBuckets, OfEqualRatiosTheNearerAreaIsTaken) {
  EXPECT_EQ(settle_small_buckets({{{256, 256}, 4}, {{512, 512}, 1}, {{576, 576}, 4}}, 4,
                                 SmallBuckets::kMerge)
                .at(Size{512, 512}),
            (Size{576, 576}));
}

TEST(SmallBuckets, SmallOnesGrowTogetherWhereNoneHasABatch) {
  // The widest goes to its neighbour, which then has a batch for the others.
  EXPECT_EQ(settle_small_buckets({{kTall, 2}, {kSquare, 3}, {kWide, 3}, {kWider, 1}}, 4,
                                 SmallBuckets::kMerge),
            (Targets{{kTall, kWide}, {kSquare, kWide}, {kWide, kWide}, {kWider, kWide}}));
}

TEST(SmallBuckets, WhatWasMergedMovesAlong) {
  EXPECT_EQ(settle_small_buckets({{kTall, 3}, {kSquare, 3}, {kWide, 1}, {kWider, 1}}, 9,
                                 SmallBuckets::kMerge),
            (Targets{{kTall, kSquare}, {kSquare, kSquare}, {kWide, kSquare}, {kWider, kSquare}}));
}

TEST(SmallBuckets, NothingComesOfNothing) {
  EXPECT_TRUE(settle_small_buckets({}, 4, SmallBuckets::kMerge).empty());
  EXPECT_EQ(settle_small_buckets({{kTall, 1}}, 4, SmallBuckets::kMerge), (Targets{{kTall, kTall}}));
}

RC_GTEST_PROP(SmallBucketsProperty, MergingKeepsEveryPictureAndLeavesNoSmallBucket, ()) {
  const auto sides = rc::gen::map(rc::gen::inRange(1, 17), [](int steps) { return steps * 64; });
  Counts samples;
  for (int n = *rc::gen::inRange(0, 20); n > 0; --n) {
    samples[Size{*sides, *sides}] = *rc::gen::inRange<int64_t>(0, 12);
  }
  const int64_t batch_size = *rc::gen::inRange<int64_t>(1, 40);
  Counts after;
  int64_t before_total = 0, after_total = 0;
  for (const auto& [size, target] :
       settle_small_buckets(samples, batch_size, SmallBuckets::kMerge)) {
    RC_ASSERT(target.has_value());
    RC_ASSERT(samples.count(*target) == 1u);
    if (samples[size] >= batch_size) RC_ASSERT(*target == size);
    after[*target] += samples[size];
  }
  for (const auto& [size, count] : samples) before_total += count;
  for (const auto& [size, count] : after) after_total += count;
  RC_ASSERT(after_total == before_total);
  if (after.size() > 1) {
    for (const auto& [size, count] : after) RC_ASSERT(count >= batch_size);
  }
  if (before_total < batch_size) RC_ASSERT(after.size() <= 1u);
}

}  // namespace
}  // namespace sdtune
