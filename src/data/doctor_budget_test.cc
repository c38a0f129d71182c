#include "data/doctor_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/test_pictures.h"

namespace sdtune {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

// Two buckets: 7 samples in batches of 2 and 6 in batches of 4 make 4 + 2 batches.
Dataset dataset() {
  Dataset data;
  data.subsets.resize(2);
  data.subsets[1].num_repeats = 3;
  data.buckets = {{{512, 512}, 0, 2}, {{384, 640}, 0, 4}};
  for (int i = 0; i < 7; ++i) data.items.emplace_back().placement.bucket = {512, 512};
  for (int i = 0; i < 2; ++i) {
    Item& item = data.items.emplace_back();
    item.subset = 1;
    item.bucket = 1;
    item.repeats = 3;
    item.placement.bucket = {384, 640};
  }
  return data;
}

TEST(PlanSteps, CountsAsTheTrainerDoes) {
  const StepPlan plan =
      plan_steps(dataset(), {.max_train_steps = 10, .gradient_accumulation_steps = 4});
  EXPECT_EQ(plan.pictures, 9);
  EXPECT_EQ(plan.samples_per_epoch, 13);
  EXPECT_EQ(plan.batches_per_epoch, 6);
  EXPECT_EQ(plan.steps_per_epoch, 2);
  EXPECT_EQ(plan.total_steps, 10);
  EXPECT_EQ(plan.epochs, 5);
  EXPECT_FALSE(plan.ends_within_epoch);
  EXPECT_EQ(plan.images_seen, 65);
}

TEST(PlanSteps, EpochsCountBeforeSteps) {
  const StepPlan plan = plan_steps(dataset(), {.max_train_steps = 10, .max_train_epochs = 3});
  EXPECT_EQ(plan.total_steps, 18);
  EXPECT_EQ(plan.epochs, 3);
  EXPECT_EQ(plan.images_seen, 39);
}

TEST(PlanSteps, AnEpochCutShort) {
  const StepPlan plan = plan_steps(dataset(), {.max_train_steps = 9});
  EXPECT_EQ(plan.epochs, 2);
  EXPECT_TRUE(plan.ends_within_epoch);
  EXPECT_EQ(plan.images_seen, 13 + 7);  // 3 of 6 batches
}

TEST(PlanSteps, NothingToTrainOn) { EXPECT_EQ(plan_steps({}, {}).total_steps, 0); }

// 20 steps, 6 an epoch.
CheckpointNeeds needs(const SavePlan& saves) {
  return checkpoint_needs(plan_steps(dataset(), {.max_train_steps = 20}), saves);
}

TEST(CheckpointNeeds, SavesAreCountedAsTheTrainerSaves) {
  EXPECT_EQ(needs({}).models, 1);
  EXPECT_EQ(needs({}).states, 0);
  EXPECT_EQ(needs({.every_n_steps = 5}).models, 5);  // at 20 both the step's and the last
  EXPECT_EQ(needs({.every_n_epochs = 1}).models, 4);
  EXPECT_EQ(needs({.every_n_epochs = 2}).models, 2);
  EXPECT_EQ(needs({.every_n_steps = 10, .every_n_epochs = 1, .save_state = true}).states, 6);
  EXPECT_EQ(needs({.every_n_steps = 10, .save_state_on_train_end = true}).states, 1);
  // The epoch that ends the run saves as the end alone.
  const StepPlan two_epochs = plan_steps(dataset(), {.max_train_epochs = 2});
  EXPECT_EQ(checkpoint_needs(two_epochs, {.every_n_epochs = 1}).models, 2);
}

TEST(CheckpointNeeds, BytesFollowPrecisionAndModel) {
  EXPECT_EQ(needs({}).model_bytes, 4'264'800'000);
  EXPECT_EQ(needs({.bytes_per_weight = 2}).model_bytes, 2'132'400'000);
  EXPECT_EQ(needs({.is_v2 = true, .bytes_per_weight = 2}).model_bytes, 2'579'200'000);
  EXPECT_EQ(needs({}).state_bytes, 12 * 859'500'000ull);
  EXPECT_EQ(needs({.trains_text_encoder = true}).state_bytes, 12 * 982'500'000ull);
  // Trained in fp32 from a file in fp16: only what is trained grows.
  EXPECT_EQ(needs({.model_bytes = 2'132'400'000}).model_bytes,
            859'500'000ull * 4 + 206'700'000 * 2);
  // More in the file than the three parts, which stays.
  EXPECT_EQ(needs({.bytes_per_weight = 2, .model_bytes = 7'000'000'000}).model_bytes,
            2'132'400'000 + 7'000'000'000 - 4'264'800'000);
  // A small model of tests and demos.
  EXPECT_EQ(needs({.model_bytes = 1'000'000}).model_bytes, 1'000'000);
}

TEST(CheckpointNeeds, HugeSumsDoNotWrap) {
  EXPECT_EQ((CheckpointNeeds{1'000'000'000'000, 4'000'000'000, 0, 0}.total()),
            1'000'000'000'000'000'000);
}

TEST(LatentBytes, FollowBucketsAndOptions) {
  Dataset data = dataset();
  const uint64_t one = 4 * 64 * 64 * 4, other = 4 * 48 * 80 * 4, files = 9 * 1500;
  EXPECT_EQ(latent_bytes(data, false), 7 * one + 2 * other + files);
  EXPECT_EQ(latent_bytes(data, true), 3 * (7 * one + 2 * other) + files);
  data.subsets[0].flip_aug = true;
  data.subsets[1].alpha_mask = true;
  EXPECT_EQ(latent_bytes(data, false), 14 * one + 2 * (other + 384 * 640 * 4) + files);
}

TEST(CheckRoom, OneDiskHoldsBoth) {
  EXPECT_THAT(check_room({{"checkpoints", "/a", 60, 100}, {"latents", "/b", 50, 101}}), SizeIs(0));
  const auto findings = check_room({{"checkpoints", "/a", 60, 100}, {"latents", "/b", 50, 100}});
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_EQ(findings[0].kind, FindingKind::kNoSpace);
  EXPECT_EQ(findings[0].name, "/a");
  EXPECT_EQ(findings[0].detail, "checkpoints and latents need about 110 bytes, 100 bytes are free");
}

TEST(FreeBytesNear, AFolderThatIsNotThereYet) {
  const TestFolder folder;
  EXPECT_GT(free_bytes_near(folder / "not/yet/there"), 0);
  EXPECT_GT(free_bytes_near("not-there-either"), 0);
}

TEST(BytesText, ThreeDigits) {
  EXPECT_EQ(bytes_text(0), "0 bytes");
  EXPECT_EQ(bytes_text(999), "999 bytes");
  EXPECT_EQ(bytes_text(1000), "1.00 kB");
  EXPECT_EQ(bytes_text(4'264'800'000), "4.26 GB");
  EXPECT_EQ(bytes_text(999'999'999), "1.00 GB");
  EXPECT_EQ(bytes_text(12'345'678), "12.3 MB");
}

}  // namespace
}  // namespace sdtune
