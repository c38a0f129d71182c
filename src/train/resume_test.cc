// A run that went on from a state ends in the same bytes as one that went straight through: for
// every optimizer, with weights of each type, with and without an average of the weights.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/log.h"
#include "image/test_pictures.h"
#include "optim/make_optimizer.h"
#include "train/tiny_model_for_test.h"
#include "train/trainer.h"

namespace sdtune {
namespace {

// The state lies within the first epoch, which has one more step. Going on into the second is the
// same for all optimizers, and one of them does.
constexpr int kPictures = 3;
constexpr int64_t kStopped = 2;
int64_t steps_for(const std::string& optimizer) { return optimizer == "AdamW" ? 4 : 3; }

// In memory where there is room: states are synced, hundreds of them here, and what disks do has
// tests of its own.
fs::path place_for_outputs() {
  constexpr uintmax_t kRoom = 1 << 28;
  const fs::path memory = "/dev/shm";
  std::error_code code;
  const fs::space_info space = fs::space(memory, code);
  return !code && space.available >= kRoom ? memory : fs::temp_directory_path();
}

struct Weights {
  const char* name;
  MixedPrecision mixed;
  bool full_bf16;
};
constexpr Weights kWeights[] = {{"no", MixedPrecision::kNo, false},
                                {"bf16", MixedPrecision::kBf16, false},
                                {"full_bf16", MixedPrecision::kBf16, true}};

class Resume : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() {
    configure_log({.level = LogLevel::kError});
    at::set_num_threads(1);  // more would wait for each other on a busy machine
    shared_ = std::make_unique<TestFolder>();
    write_random_model(*shared_ / "model", tiny_model());
    fs::create_directories(*shared_ / "pictures");
    for (int i = 0; i < kPictures; ++i) {
      const std::string name = "pictures/" + std::to_string(i);
      write_png(*shared_ / (name + ".png"), test_picture(64, 64, static_cast<uint32_t>(i)));
      shared_->write(name + ".caption", "picture " + std::to_string(i));
    }
  }
  static void TearDownTestSuite() {
    shared_.reset();
    configure_log({});
  }

  static TrainOptions options_for(const std::string& optimizer, const Weights& weights, bool ema) {
    TrainOptions options;
    options.model.pretrained_model_name_or_path = *shared_ / "model";
    options.dataset.train_data_dir = *shared_ / "pictures";
    options.dataset.buckets.resolution = Size2{64, 64};
    options.run.output_name = "run";
    options.run.max_train_steps = steps_for(optimizer);
    options.run.seed = 3;
    options.run.train_text_encoder = true;
    options.precision.mixed_precision = weights.mixed;
    options.precision.full_bf16 = weights.full_bf16;
    options.optimizer.optimizer_type = optimizer;
    options.optimizer.learning_rate = 1e-3;
    if (optimizer == "SGD8bit") options.optimizer.optimizer_args = {"momentum=0.9"};
    // Else its first steps change nothing.
    if (optimizer == "RAdamScheduleFree") {
      options.optimizer.optimizer_args = {"silent_sgd_phase=False"};
    }
    options.ema.ema = ema;
    options.save.save_state = true;
    options.save.save_every_n_steps = kStopped;
    return options;
  }

  static void run(TrainOptions options, const fs::path& output) {
    options.run.output_dir = output;
    validate(options);
    ASSERT_EQ(Trainer(options, at::kCPU).run(), 0);
  }

  static std::unique_ptr<TestFolder> shared_;
};
std::unique_ptr<TestFolder> Resume::shared_;

TEST_P(Resume, EndsInTheSameBytes) {
  for (const Weights& weights : kWeights) {
    for (const bool ema : {false, true}) {
      SCOPED_TRACE(std::string(weights.name) + (ema ? " with ema" : ""));
      const TestFolder outputs(place_for_outputs());
      TrainOptions options = options_for(GetParam(), weights, ema);
      run(options, outputs / "straight");
      options.save.resume = (outputs / "straight/run-step00000002-state").string();
      run(options, outputs / "resumed");
      int files = 0;
      for (const auto& entry : fs::directory_iterator(outputs / "straight/run-state")) {
        const std::string name = entry.path().filename().string();
        if (entry.path().extension() != ".safetensors") continue;
        EXPECT_TRUE(read_file(entry.path()) == read_file(outputs / ("resumed/run-state/" + name)))
            << name;
        ++files;
      }
      EXPECT_EQ(files, ema ? 4 : 3);
      // Something was learned between the state and the end, or equality would say nothing.
      EXPECT_FALSE(read_file(outputs / "straight/run-step00000002-state/unet.safetensors") ==
                   read_file(outputs / "straight/run-state/unet.safetensors"));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EachOptimizer, Resume, testing::ValuesIn(optimizer_names()));

}  // namespace
}  // namespace sdtune
