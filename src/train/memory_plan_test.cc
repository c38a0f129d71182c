#include "train/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/files.h"
#include "base/log.h"
#include "image/test_pictures.h"
#include "kernels/gemm_cpu.h"
#include "models/small_models_for_test.h"
#include "train/device_memory.h"
#include "train/random_model.h"

namespace sdtune {
namespace {

// Its U-Net has 17 million parameters, so that what is told of them stands out.
class Memory : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    configure_log({.level = LogLevel::kError});
    folder_ = std::make_unique<TestFolder>();
    RandomModel sizes{small_unet_v1(), small_vae(), small_clip()};
    sizes.unet.block_out_channels = {64, 448};
    write_random_model(*folder_ / "model", sizes);
  }
  static void TearDownTestSuite() {
    folder_.reset();
    configure_log({});
  }

  void SetUp() override {
    options_.model.pretrained_model_name_or_path = *folder_ / "model";
    dataset_.buckets = {{.size = {64, 64}, .batch_size = 1}};
  }

  Trainee trainee() const { return make_trainee(options_, at::kCPU); }

  MemoryPlan plan(const Trainee& trainee, const MemorySettings& settings) const {
    return plan_memory(trainee, dataset_, settings);
  }
  MemoryPlan plan(const Trainee& trainee) const {
    return plan(trainee, memory_settings(options_, trainee));
  }

  // Elements of the largest ones together.
  static uint64_t largest(const Trainee& trainee, size_t count = 1) {
    std::vector<int64_t> sizes;
    for (const NamedParameter& p : trainee.optimizer->groups()[0].parameters) {
      sizes.push_back(p.tensor.numel());
    }
    std::ranges::sort(sizes, std::greater());
    sizes.resize(count);
    return static_cast<uint64_t>(std::accumulate(sizes.begin(), sizes.end(), int64_t{0}));
  }

  TrainOptions options_;
  Dataset dataset_;
  static std::unique_ptr<TestFolder> folder_;
};
std::unique_ptr<TestFolder> Memory::folder_;

TEST_F(Memory, CountsTheAverageOfTheWeightsOnce) {
  options_.ema.ema = true;
  const Trainee with = trainee();
  const MemoryPlan counted = plan(with);
  EXPECT_EQ(counted.average, counted.weights);
  // The average is there already, and not among what was loaded.
  EXPECT_GT(bytes_in_use(at::kCPU), with.loaded_bytes + counted.average / 2);
  EXPECT_EQ(counted.loaded, with.loaded_bytes);
  MemorySettings without = memory_settings(options_, with);
  without.ema = false;
  EXPECT_EQ(counted.peak - plan(with, without).peak, counted.average);
}

TEST_F(Memory, StateOfAResumedRunIsNotCountedTwice) {
  const Trainee resumed = trainee();
  const uint64_t before = plan(resumed).peak;
  resumed.optimizer->visit_state([](const std::string&, at::Tensor& state) { state.fill_(0); });
  EXPECT_EQ(plan(resumed).peak, before);
}

TEST_F(Memory, FusedUpdatesHoldOneGradientAndWhatTheRuleNeeds) {
  const Trainee trained = trainee();
  MemorySettings settings = memory_settings(options_, trained);
  settings.fused_backward = true;
  settings.weights = settings.compute = at::kBFloat16;
  const uint64_t elements = largest(trained);
  for (const auto& [type, bytes] : {std::pair("AdamW", 8.0), {"AdamW8bit", 0.0}}) {
    settings.optimizer_type = type;
    const MemoryPlan counted = plan(trained, settings);
    EXPECT_EQ(counted.gradients, 2 * elements);
    EXPECT_NEAR(static_cast<double>(counted.update) / static_cast<double>(elements), bytes, 0.05);
  }
  const uint64_t fused = plan(trained, settings).peak;
  settings.fused_backward = false;
  EXPECT_GT(plan(trained, settings).peak, fused + plan(trained, settings).weights / 2);
}

// Winograd's sums of the gradient of 896 → 448 kernels, over 16 x 16 pixels: most of them stands
// above what is highest without.
TEST_F(Memory, CountsWhatConvolutionsTakeWhereTheyRunOnTheCpu) {
  if (!gemm_is_fast()) GTEST_SKIP() << "this processor takes torch's convolutions";
  dataset_.buckets[0].size = {256, 256};
  Trainee trained = trainee();
  MemorySettings settings = memory_settings(options_, trained);
  settings.checkpointing = settings.fused_backward = true;  // nothing is highest at the end
  const uint64_t on_cpu = plan(trained, settings).peak;
  trained.device = at::Device(at::kCUDA, 0);
  EXPECT_GT(on_cpu, plan(trained, settings).peak + 4 * 16 * 896 * 448 / 2);
}

TEST_F(Memory, CountsWhatAHypernetworkLearnsAndKeeps) {
  dataset_.buckets[0].size = {1024, 1024};
  options_.hypernetwork.module = "hypernetwork_nai";
  const Trainee small = trainee();
  options_.hypernetwork.layer_structure = "1,8,1";
  const Trainee large = trainee();
  const MemoryPlan with_small = plan(small), with_large = plan(large);
  EXPECT_LT(with_small.weights, with_small.loaded / 4);
  EXPECT_EQ(with_large.gradients, with_large.weights);
  // Four times as wide between its layers: so are its weights, gradients and moments, and more is
  // kept.
  EXPECT_NEAR(static_cast<double>(with_large.weights) / static_cast<double>(with_small.weights), 4,
              0.1);
  EXPECT_GT(with_large.activations, with_small.activations);
  EXPECT_GT(with_large.peak - with_large.loaded,
            with_small.peak - with_small.loaded + 3 * (with_large.weights - with_small.weights));
  // All of its gradients are there at the peak, which updates in the backward pass spare.
  MemorySettings settings = memory_settings(options_, large);
  settings.optimizer_type = "AdamW8bit";
  const MemoryPlan gathered = plan(large, settings);
  settings.fused_backward = true;
  const MemoryPlan fused = plan(large, settings);
  EXPECT_LT(fused.gradients, gathered.gradients / 2);
  EXPECT_EQ(gathered.peak - fused.peak, gathered.gradients - fused.gradients - fused.update);
}

TEST_F(Memory, StateOnTheHostTakesNoneOfTheDevice) {
  Trainee trained = trainee();
  MemorySettings settings = memory_settings(options_, trained);
  const auto state_with = [&](const char* type) {
    settings.optimizer_type = type;
    return plan(trained, settings).optimizer;
  };
  const uint64_t all = state_with("AdamW");
  EXPECT_GT(all, 8 * 16'000'000U);
  EXPECT_EQ(state_with("PagedAdamW"), all);
  // Nothing is asked of the device itself.
  trained.device = at::Device(at::kCUDA, 0);
  EXPECT_EQ(state_with("AdamW"), all);
  const uint64_t visiting = state_with("PagedAdamW");
  EXPECT_NEAR(static_cast<double>(visiting), 8.0 * static_cast<double>(largest(trained, 3)), 100);
  EXPECT_LT(state_with("PagedAdamW8bit"), visiting / 3);
  settings.offload_optimizer = true;
  EXPECT_EQ(state_with("AdamW"), visiting);
}

TEST_F(Memory, HintsNameWhatWouldSaveMost) {
  const Trainee trained = trainee();
  dataset_.buckets[0].batch_size = 2;
  const std::vector<std::string> hints = memory_hints(trained, options_, dataset_);
  EXPECT_THAT(hints, testing::Contains(testing::StartsWith("--optimizer_type=AdamW8bit would")));
  EXPECT_EQ(hints.back(), "a smaller --train_batch_size would help");
}

TEST_F(Memory, HintsNameNothingThatWouldBeRefused) {
  RandomModel sizes{small_unet_v1(), small_vae(), small_clip()};
  sizes.unet.block_out_channels = {64, 640};  // whose gradients are worth a hint
  write_random_model(*folder_ / "larger", sizes);
  options_.model.pretrained_model_name_or_path = *folder_ / "larger";
  const Trainee trained = trainee();
  const auto hints = [&] { return memory_hints(trained, options_, dataset_); };
  EXPECT_THAT(hints(), testing::Contains(testing::StartsWith("--fused_backward_pass --clip_per")));
  options_.run.gradient_accumulation_steps = 2;
  EXPECT_THAT(hints(), testing::Each(testing::Not(testing::HasSubstr("--fused_backward_pass"))));
}

}  // namespace
}  // namespace sdtune
