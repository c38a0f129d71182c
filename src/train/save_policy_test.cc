#include "train/save_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

SaveMoment epoch(int64_t number) { return {SaveMoment::Kind::kEpoch, number}; }
SaveMoment step(int64_t number) { return {SaveMoment::Kind::kStep, number}; }

TEST(SavePolicy, RatioDividesTheEpochs) {
  SaveOptions options;
  EXPECT_EQ(epochs_between_saves(options, 10), 0);
  options.save_every_n_epochs = 7;
  EXPECT_EQ(epochs_between_saves(options, 10), 7);
  options.save_n_epoch_ratio = 3;
  EXPECT_EQ(epochs_between_saves(options, 10), 3);
  EXPECT_EQ(epochs_between_saves(options, 2), 1);
}

TEST(SavePolicy, SavesAreDueAtTheirEpochsStepsAndMinutes) {
  SaveOptions options;
  options.save_every_n_steps = 5;
  options.save_every_n_minutes = 2;
  const auto due = [&](const SavePlace& place) { return due_saves(options, 2, place).moments; };
  EXPECT_THAT(due({.step = 4, .epoch = 1}), IsEmpty());
  EXPECT_THAT(due({.step = 5, .epoch = 1}), ElementsAre(step(5)));
  EXPECT_THAT(due({.step = 6, .epoch = 1, .ends_epoch = true}), IsEmpty());
  EXPECT_THAT(due({.step = 12, .epoch = 2, .ends_epoch = true}), ElementsAre(epoch(2)));
  EXPECT_THAT(due({.step = 12, .epoch = 2}), IsEmpty());
  EXPECT_THAT(due({.step = 20, .is_end = true, .epoch = 4, .ends_epoch = true}),
              ElementsAre(step(20)));
  EXPECT_THAT(due({.step = 7, .epoch = 2, .minutes_passed = 2.5}), ElementsAre(step(7)));
  EXPECT_THAT(due({.step = 10, .epoch = 2, .minutes_passed = 2.5}), ElementsAre(step(10)));
  EXPECT_TRUE(due_saves(options, 0, {.step = 7, .minutes_passed = 2}).timed);
  EXPECT_FALSE(due_saves(options, 0, {.step = 5, .minutes_passed = 1.9}).timed);
}

struct Case {
  const char* name;
  Retention retention;
  SaveMoment saved;
  std::vector<SaveMoment> there;
  std::vector<SaveMoment> outdated;
};

// 10 steps make an epoch.
const Case kCases[] = {
    {"nothing asked", {2, 10, {}, {}, {}}, step(50), {step(10), epoch(2)}, {}},
    {"epochs: one of K times every before",
     {2, 0, 3, {}, {}},
     epoch(8),
     {epoch(2), epoch(4)},
     {epoch(2)}},
    {"epochs: too early", {2, 0, 3, {}, {}}, epoch(6), {epoch(2), epoch(4)}, {}},
    {"epochs: only the one computed",
     {1, 0, 2, {}, {}},
     epoch(5),
     {epoch(1), epoch(2), epoch(3)},
     {epoch(3)}},
    {"epochs: steps stay", {1, 0, 1, {}, {}}, epoch(2), {epoch(1), step(10)}, {epoch(1)}},
    {"epochs: not at a step", {1, 10, 1, {}, {}}, step(20), {epoch(1)}, {}},
    {"steps: a window of steps", {0, 10, {}, 30, {}}, step(50), {step(10), step(20)}, {step(10)}},
    {"steps: too early", {0, 10, {}, 30, {}}, step(40), {step(10)}, {}},
    {"steps: floored to the grid", {0, 10, {}, 25, {}}, step(50), {step(10), step(20)}, {step(20)}},
    {"steps: not there any more", {0, 10, {}, 30, {}}, step(50), {step(20)}, {}},
    {"steps: without a grid", {0, 0, {}, 30, {}}, step(50), {step(10)}, {}},
    {"count: the newest stay",
     {0, 0, {}, {}, 2},
     step(50),
     {step(50), step(37), step(12), step(2)},
     {step(12), step(2)}},
    {"count: epochs and steps together",
     {1, 5, {}, {}, 2},
     step(25),
     {step(25), epoch(2), step(20), step(15)},
     {step(20), step(15)}},
    {"count: an epoch comes after its last step",
     {1, 5, {}, {}, 1},
     epoch(2),
     {step(20), epoch(2)},
     {step(20)}},
    {"count: a step that ends an epoch is one with it",
     {1, 4, {}, {}, 2},
     step(20),
     {step(20), epoch(2), step(16)},
     {step(16)}},
    {"count: later ones are another run's",
     {0, 5, {}, {}, 1},
     step(10),
     {step(5), step(90)},
     {step(5)}},
    {"count: nothing at the end", {0, 5, {}, {}, 1}, {}, {step(5), step(10)}, {}},
};

TEST(SavePolicy, OutdatedSavesByTable) {
  for (const Case& c : kCases) {
    EXPECT_EQ(outdated_saves(c.retention, c.saved, c.there, 10), c.outdated) << c.name;
  }
}

TEST(SavePolicy, StatesHaveNumbersOfTheirOwn) {
  SaveOptions options;
  options.save_last_n_epochs = 3;
  options.save_last_n_steps = 30;
  options.save_last_n = 4;
  EXPECT_EQ(state_retention(options, 1).last_n_epochs, 3);
  options.save_last_n_epochs_state = 1;
  options.save_last_n_steps_state = 10;
  options.save_last_n_state = 2;
  const Retention states = state_retention(options, 1);
  EXPECT_EQ(states.last_n_epochs, 1);
  EXPECT_EQ(states.last_n_steps, 10);
  EXPECT_EQ(states.last_n, 2);
  EXPECT_EQ(model_retention(options, 1).last_n_steps, 30);
}

TEST(SavePolicy, SavesAreFoundByTheirNames) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("sdtune-saves-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  TrainOptions options;
  options.run.output_dir = folder;
  options.run.output_name = "run-000007";
  const auto path_of = [&](SaveMoment moment) {
    return model_path(options, SaveFormat::kSafetensors, moment);
  };
  for (const SaveMoment& moment : {epoch(2), step(100), SaveMoment{}})
    std::ofstream(path_of(moment)) << "x";
  for (const char* other : {"run-000007-000003.ckpt", "other-000003.safetensors",
                            "run-000007-000003-state", "run-000007-3.safetensors"})
    std::ofstream(folder / other) << "x";
  EXPECT_THAT(saves_in(folder, path_of), UnorderedElementsAre(epoch(2), step(100)));
  std::filesystem::remove_all(folder);
  EXPECT_THAT(saves_in(folder, path_of), IsEmpty());
}

}  // namespace
}  // namespace sdtune
