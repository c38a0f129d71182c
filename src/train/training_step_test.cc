#include "train/training_step.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "base/log.h"
#include "image/test_pictures.h"
#include "kernels/device_graph_for_test.h"
#include "kernels/load_cuda.h"
#include "optim/tensor_optimizer.h"
#include "train/text_states.h"
#include "train/tiny_model_for_test.h"

namespace sdtune {
namespace {

// Descent by the gradient, which is clipped on the way: by a factor that the host knows, or, as on
// a device, by one that the rule reads.
class Descent : public TensorOptimizer {
 public:
  Descent(std::vector<ParameterGroup> groups, bool on_device)
      : TensorOptimizer(std::move(groups)), on_device_(on_device) {}
  bool scales_gradients() const override { return true; }
  bool takes_device_scale() const override { return on_device_; }
  void forget_update(size_t, size_t) override { --updates; }
  int64_t updates = 0;  // of tensors

 protected:
  void add_state(const at::Tensor&, ParameterState&) const override {}
  void apply(TensorUpdate& update) override {
    ++updates;
    if (on_device_) {
      const at::Tensor& scale = update.device_scale;
      const at::Tensor change = update.gradient * (scale * update.rate);
      update.weight.sub_(at::where(scale.isfinite(), change, 0));
    } else {
      update.weight.sub_(update.gradient * (update.gradient_scale * update.rate));
    }
  }

 private:
  bool on_device_;
};

class TrainingStep : public testing::Test {
 public:
  static void SetUpTestSuite() {
    configure_log({.level = LogLevel::kError});
    folder_ = std::make_unique<TestFolder>();
    write_random_model(*folder_ / "model", tiny_model());
  }
  static void TearDownTestSuite() {
    folder_.reset();
    configure_log({});
  }

  static Trainee trainee(bool on_device) {
    TrainOptions options;
    options.model.pretrained_model_name_or_path = *folder_ / "model";
    options.optimizer.learning_rate = 0.1;
    Trainee made = make_trainee(options, at::kCPU);
    made.optimizer = std::make_unique<Descent>(made.optimizer->groups(), on_device);
    return made;
  }

  // Of kept latents.
  static LoadedBatch batch(int width, float latent, float loss_weight) {
    LoadedBatch batch;
    batch.size = {width, 64};
    batch.items = {0, 1};
    batch.ids = {5, 6};
    batch.repeats = {0, 0};
    batch.captions = {"a cat", "a dog"};
    batch.latents.assign(static_cast<size_t>(2 * 4 * 8 * (width / 8)), latent);
    batch.loss_weights = {loss_weight, loss_weight / 2};
    return batch;
  }

  // Two that add up.
  static std::vector<LoadedBatch> batches(float latent, float loss_weight) {
    return {batch(64, latent, loss_weight), batch(64, latent, loss_weight)};
  }

  static StepResult step(Trainee& trainee, float latent, int64_t number, float loss_weight = 1) {
    Trace trace(std::nullopt, 0);
    const StepPlace place{.seed = 3, .step = number, .batch_size = 2};
    return training_step(trainee, batches(latent, loss_weight), place, {.max_norm = 0.05}, trace);
  }

  static at::Tensor weight(const Trainee& trainee) {
    return trainee.optimizer->groups()[0].parameters[0].tensor.detach();
  }

  static std::unique_ptr<TestFolder> folder_;
};
std::unique_ptr<TestFolder> TrainingStep::folder_;

TEST_F(TrainingStep, IsTheSameWhereTheDeviceKnowsTheScale) {
  Trainee host = trainee(false), device = trainee(true);
  const at::Tensor before = weight(host).clone();
  for (int64_t i = 0; i < 3; ++i) {
    const StepResult wanted = step(host, 0.3F, i), found = step(device, 0.3F, i);
    EXPECT_TRUE(found.updated && wanted.updated && found.finite);
    EXPECT_EQ(found.images, 4);
    EXPECT_NEAR(found.loss, wanted.loss, 1e-6);
    EXPECT_NEAR(found.grad_norm, wanted.grad_norm, 1e-6);
    EXPECT_GT(found.grad_norm, 0.05);
    EXPECT_EQ(found.timesteps, wanted.timesteps);
    ASSERT_EQ(found.sample_losses.size(), 4U);
    for (size_t k = 0; k < 4; ++k) {
      EXPECT_NEAR(found.sample_losses[k], wanted.sample_losses[k], 1e-6);
    }
  }
  EXPECT_TRUE(weight(device).allclose(weight(host), 1e-5, 1e-7));
  EXPECT_FALSE(weight(host).equal(before));
}

TEST_F(TrainingStep, ThatIsNotFiniteChangesNothing) {
  for (const bool on_device : {false, true}) {
    Trainee trained = trainee(on_device);
    const at::Tensor before = weight(trained).clone();
    const StepResult result = step(trained, std::nanf(""), 0);
    EXPECT_FALSE(result.updated);
    EXPECT_FALSE(result.finite);
    EXPECT_TRUE(result.bad_tensor.starts_with("gradient of unet")) << result.bad_tensor;
    EXPECT_TRUE(weight(trained).equal(before));
    EXPECT_EQ(dynamic_cast<Descent&>(*trained.optimizer).updates, 0);
    EXPECT_TRUE(trained.optimizer->gradients().empty());
  }
}

TEST_F(TrainingStep, NamesTheItemWhoseLatentsTheVaeSpoilt) {
  Trainee trained = trainee(true);
  LoadedBatch pictures = batch(64, 0, 1);
  pictures.items = {4, 9};
  pictures.latents.clear();
  pictures.pixels.assign(size_t{2} * 3 * 64 * 64, 0.5F);
  Trace trace(std::nullopt, 0);
  const auto step_of_pictures = [&] {
    return training_step(trained, {&pictures, 1}, {.seed = 3, .batch_size = 2}, {}, trace);
  };
  EXPECT_EQ(step_of_pictures().bad_latents, std::nullopt);
  // Finite, but too large for what the VAE computes in.
  std::fill(pictures.pixels.begin() + 3 * 64 * 64, pictures.pixels.end(), 3e38F);
  const StepResult result = step_of_pictures();
  EXPECT_FALSE(result.finite);
  EXPECT_EQ(result.bad_latents, 9);
}

TEST_F(TrainingStep, HalvesTheLossScaleOnOverflow) {
  for (const bool on_device : {false, true}) {
    Trainee trained = trainee(on_device);
    trained.scaler.emplace(at::kCPU);
    trained.scaler->restore(0x1p127, 0);
    const at::Tensor before = weight(trained).clone();
    StepResult result = step(trained, 0.3F, 0, 1e4F);
    EXPECT_FALSE(result.updated);
    EXPECT_TRUE(result.finite);
    EXPECT_EQ(trained.scaler->current_scale(), 0x1p126);
    EXPECT_TRUE(weight(trained).equal(before));
    trained.scaler->restore(1024, 7);
    result = step(trained, 0.3F, 1);
    EXPECT_TRUE(result.updated);
    EXPECT_EQ(trained.scaler->good_steps(), 8);
    EXPECT_LT(result.grad_norm, 1024);
  }
}

// Steps of one or two batches of two shapes, some with masks, whose values all differ.
std::vector<LoadedBatch> batches_of_step(int64_t number) {
  const std::vector<std::vector<int>> widths = {{64, 128}, {128, 128}, {64, 64}, {128}, {64, 128}};
  std::vector<LoadedBatch> batches;
  for (const int width : widths[static_cast<size_t>(number) % widths.size()]) {
    const auto value = 0.1F * static_cast<float>(number + 1) + static_cast<float>(batches.size());
    LoadedBatch batch = TrainingStep::batch(width, value, 1 / value);
    batch.captions[1] = fmt::format("a dog of {}", value);
    if (number % 2 == 1) batch.alpha_mask.assign(static_cast<size_t>(2 * width * 64), value / 4);
    batches.push_back(std::move(batch));
  }
  return batches;
}

void expect_equal_steps(Trainee& plain, Trainee& recorded) {
  Trace trace(std::nullopt, 0);
  for (int64_t i = 0; i < 12; ++i) {
    // A scale that a graph must read where it lies.
    for (Trainee* trainee : {&plain, &recorded}) {
      if (trainee->scaler) trainee->scaler->restore(static_cast<double>(i + 2), 0);
    }
    const StepPlace place{.seed = 3, .step = i, .batch_size = 2};
    const auto step = [&](Trainee& trainee) {
      return training_step(trainee, batches_of_step(i), place, {.max_norm = 0.05}, trace);
    };
    const StepResult wanted = step(plain), found = step(recorded);
    EXPECT_TRUE(wanted.updated && found.updated) << i;
    EXPECT_EQ(found.loss, wanted.loss) << i;
    EXPECT_EQ(found.grad_norm, wanted.grad_norm) << i;
    EXPECT_EQ(found.sample_losses, wanted.sample_losses) << i;
    EXPECT_EQ(found.timesteps, wanted.timesteps) << i;
  }
  const auto &before = plain.optimizer->groups(), &after = recorded.optimizer->groups();
  for (size_t g = 0; g < before.size(); ++g) {
    for (size_t i = 0; i < before[g].parameters.size(); ++i) {
      EXPECT_TRUE(after[g].parameters[i].tensor.equal(before[g].parameters[i].tensor))
          << before[g].parameters[i].name;
    }
  }
}

TEST_F(TrainingStep, IsTheSameToTheBitWhereGraphsRepeatIt) {
  for (const bool on_device : {false, true}) {
    for (const bool scaled : {false, true}) {
      Trainee plain = trainee(on_device), recorded = trainee(on_device);
      for (Trainee* each : {&plain, &recorded}) {
        if (scaled) each->scaler.emplace(at::kCPU);
        each->objective.masked = true;
      }
      recorded.graphs =
          std::make_unique<GraphsByShape>(at::kCPU, [] { return std::make_unique<KeptWork>(); });
      recorded.optimizer->keep_gradients();
      expect_equal_steps(plain, recorded);
      EXPECT_EQ(recorded.graphs->count(), 4U) << "two shapes, each with masks and without";
    }
  }
}

TEST_F(TrainingStep, RecordsTextStatesOnlyWhereGradientsAreRecorded) {
  TrainOptions options;
  options.model.pretrained_model_name_or_path = *folder_ / "model";
  options.run.train_text_encoder = true;
  const Trainee learns = make_trainee(options, at::kCPU);
  TextStates states;
  EXPECT_TRUE(states.encode(learns, {"a cat"}).requires_grad());
  const at::NoGradGuard as_in_validation;
  EXPECT_FALSE(states.encode(learns, {"a cat"}).requires_grad());
}

// What is added in another order differs in its last digits.
TEST_F(TrainingStep, IsTheSameOnCudaWithGraphsAndStateOnTheHost) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  const auto trained = [](bool all) {
    TrainOptions options;
    options.model.pretrained_model_name_or_path = *folder_ / "model";
    options.optimizer.learning_rate = 1e-3;
    options.loss.masked_loss = true;
    options.precision.cuda_graphs = options.precision.offload_optimizer = all;
    return make_trainee(options, at::kCUDA);
  };
  Trainee plain = trained(false), recorded = trained(true);
  Trace trace(std::nullopt, 0);
  for (int64_t i = 0; i < 12; ++i) {
    const StepPlace place{.seed = 3, .step = i, .batch_size = 2};
    const std::vector<LoadedBatch> batches = batches_of_step(i);
    const StepResult wanted = training_step(plain, batches, place, {.max_norm = 1}, trace);
    const StepResult found = training_step(recorded, batches, place, {.max_norm = 1}, trace);
    EXPECT_TRUE(found.updated);
    EXPECT_NEAR(found.loss, wanted.loss, 1e-3 * wanted.loss) << i;
    EXPECT_NEAR(found.grad_norm, wanted.grad_norm, 1e-2 * wanted.grad_norm) << i;
  }
  ASSERT_NE(recorded.graphs, nullptr);
  EXPECT_EQ(recorded.graphs->count(), 4U);
}

TEST_F(TrainingStep, KeepsTheGradientsOfGraphsInTheirPlaces) {
  Trainee trained = trainee(true);
  trained.optimizer->keep_gradients();
  step(trained, 0.3F, 0);
  ASSERT_FALSE(trained.optimizer->gradients().empty());
  const at::Tensor gradient = trained.optimizer->gradients().front();
  EXPECT_EQ(gradient.abs().max().item<float>(), 0);
  EXPECT_FALSE(step(trained, std::nanf(""), 1).finite);
  EXPECT_EQ(gradient.abs().max().item<float>(), 0);
  EXPECT_TRUE(trained.optimizer->gradients().front().is_same(gradient));
}

}  // namespace
}  // namespace sdtune
