#include "train/state.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/files.h"

#include "optim/adamw.h"

namespace sdtune {
namespace {

class StateTest : public testing::Test {
 protected:
  StateTest() { fs::create_directories(folder_); }
  ~StateTest() override { fs::remove_all(folder_); }

  static RunState at_step(int64_t step) {
    RunState state;
    state.position = {step, 1, 2};
    state.seed = 0xFEDCBA9876543210;
    state.scaler = {1024, 17};
    state.plateau = {.factor = 0.1, .best = 1 / 3.0, .bad_epochs = 2, .sum = 0.7, .count = 3};
    state.made_with = {{"threads", "2"}, {"device", "cpu"}};
    return state;
  }

  void save(const std::string& name, int64_t step) {
    save_state(folder_ / name, at_step(step), tensors_);
  }

  static void flip_a_byte(const fs::path& path) {
    std::string content = read_file(path);
    content[content.size() / 2] ^= 1;
    std::ofstream(path) << content;
  }

  fs::path folder_ = fs::temp_directory_path() / ("sdtune-state-" + std::to_string(getpid()));
  at::Tensor weight_ = at::arange(6, at::kFloat).view({2, 3}).requires_grad_(true);
  AdamW optimizer_{{{{{"unet.w", weight_}}, 0.1}}, {}};
  TrainedTensors tensors_{.unet = {{"w", weight_}}, .optimizer = &optimizer_};
};

TEST_F(StateTest, ComesBackWhole) {
  weight_.mutable_grad() = at::ones({2, 3});
  optimizer_.step({});
  save("a-state", 5);
  const RunState state = read_state(folder_ / "a-state");
  EXPECT_EQ(state.position, (Position{5, 1, 2}));
  EXPECT_EQ(state.seed, 0xFEDCBA9876543210);
  EXPECT_EQ(state.scaler->scale, 1024);
  EXPECT_EQ(state.scaler->good_steps, 17);
  EXPECT_EQ(state.plateau, at_step(5).plateau);
  EXPECT_EQ(state.made_with, at_step(5).made_with);

  at::Tensor other = at::zeros({2, 3}).requires_grad_(true);
  AdamW other_optimizer({{{{"unet.w", other}}, 0.1}}, {});
  load_state_tensors(folder_ / "a-state", {.unet = {{"w", other}}, .optimizer = &other_optimizer});
  EXPECT_TRUE(other.equal(weight_));
  for (at::Tensor* p : {&weight_, &other}) p->mutable_grad() = at::full({2, 3}, 0.5f);
  optimizer_.step({});
  other_optimizer.step({});
  EXPECT_TRUE(other.equal(weight_));
}

TEST_F(StateTest, DamageIsFoundInEveryFile) {
  for (const char* file :
       {"unet.safetensors", "optimizer.safetensors", "train_state.json", "manifest.json"}) {
    save("a-state", 5);
    EXPECT_NO_THROW(read_state(folder_ / "a-state"));
    flip_a_byte(folder_ / "a-state" / file);
    EXPECT_THROW(read_state(folder_ / "a-state"), Error) << file;
    save("a-state", 5);
    fs::remove(folder_ / "a-state" / file);
    EXPECT_THROW(read_state(folder_ / "a-state"), Error) << file;
  }
}

TEST_F(StateTest, NewestWholeOneIsTaken) {
  std::vector<fs::path> folders;
  for (const char* name : {"a-state", "b-state", "c-state", "empty-state", "none-state"})
    folders.push_back(folder_ / name);
  EXPECT_EQ(newest_state(folders), std::nullopt);
  save("a-state", 5);
  save("b-state", 20);
  save("c-state", 9);
  save("others-state", 30);
  fs::create_directory(folder_ / "empty-state");
  EXPECT_EQ(newest_state(folders), folder_ / "b-state");
  flip_a_byte(folder_ / "b-state" / "unet.safetensors");
  EXPECT_EQ(newest_state(folders), folder_ / "c-state");
}

TEST_F(StateTest, SavingOverAStateLeavesOneWholeState) {
  save("a-state", 5);
  save("a-state", 6);
  EXPECT_EQ(read_state(folder_ / "a-state").position.step, 6);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(StateTest, TensorsOfAnotherModelAreRefused) {
  save("a-state", 5);
  at::Tensor other = at::zeros({2, 4});
  AdamW optimizer({}, {});
  EXPECT_THROW(
      load_state_tensors(folder_ / "a-state", {.unet = {{"w", other}}, .optimizer = &optimizer}),
      Error);
  EXPECT_THROW(
      load_state_tensors(folder_ / "a-state", {.unet = {{"v", weight_}}, .optimizer = &optimizer}),
      Error);
}

TEST(DescribeChanges, NamesWhatDiffers) {
  RunState then, now;
  then.made_with = {{"threads", "4"}, {"device", "cpu"}, {"gone", "1"}};
  now.made_with = {{"threads", "2"}, {"device", "cpu"}};
  EXPECT_EQ(describe_changes(then, now), std::vector<std::string>{"threads: 4 then, 2 now"});
}

}  // namespace
}  // namespace sdtune
