#include "optim/lr_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "optim/lr_plateau.h"
#include "optim/lr_torch_schedule.h"

namespace sdtune {
namespace {

using testing::HasSubstr;

void expect_factors(const LrSchedule& schedule, const std::vector<std::pair<int64_t, double>>& at) {
  for (const auto& [step, factor] : at) {
    EXPECT_NEAR(schedule.factor(step), factor, 5.1e-5) << "step " << step;
  }
}

std::vector<std::pair<int64_t, double>> at_known_steps(const std::vector<double>& factors) {
  const int64_t steps[] = {0, 5, 10, 15, 50, 80, 90, 100};
  std::vector<std::pair<int64_t, double>> at;
  for (size_t i = 0; i < factors.size(); ++i) at.emplace_back(steps[i], factors[i]);
  return at;
}

OptimizerArguments arguments(const std::vector<std::string>& words) {
  return read_schedule_arguments(words);
}

// Factors that sd-scripts' schedules give over 100 steps.
TEST(LrSchedule, HasTheKnownFactors) {
  const auto expect = [](const LrScheduleSettings& settings, const std::vector<double>& factors) {
    SCOPED_TRACE(settings.name);
    expect_factors(make_lr_schedule(settings), at_known_steps(factors));
  };
  expect({.name = "cosine_with_restarts", .total_steps = 100, .num_cycles = 3},
         {1, .9455, .7939, .5782, .5, .6545, .2061, 0});
  expect({.name = "cosine_with_min_lr", .total_steps = 100, .min_lr_ratio = .1},
         {1, .9945, .978, .951, .55, .1859, .122, .1});
  expect({.name = "warmup_stable_decay", .total_steps = 100, .warmup_steps = 10, .decay_steps = 20},
         {0, .5, 1, 1, 1, 1, .5, 0});
  expect({.name = "inverse_sqrt", .total_steps = 100, .warmup_steps = 10},
         {0, .5, 1, .8165, .4472, .3536, .3333, .3162});
  expect({.name = "piecewise_constant",
          .total_steps = 100,
          .arguments = arguments({"step_rules=1:10,0.1:20,0.005"})},
         {1, 1, .1, .1, .005, .005, .005, .005});
  expect({.name = "polynomial", .total_steps = 100, .learning_rate = 1e-3},
         {1, .95, .9, .85, .5, .2001, .1001, .0001});
}

TEST(LrSchedule, OthersFollowTheirFormulas) {
  const auto schedule = [](const std::string& name, LrScheduleSettings settings = {}) {
    settings.name = name;
    settings.total_steps = 100;
    return make_lr_schedule(settings);
  };
  expect_factors(schedule("constant"), {{0, 1}, {99, 1}});
  expect_factors(schedule("adafactor"), {{0, 1}, {99, 1}});
  expect_factors(schedule("constant_with_warmup", {.warmup_steps = 10}),
                 {{0, 0}, {5, .5}, {60, 1}});
  expect_factors(schedule("linear", {.warmup_steps = 20}),
                 {{10, .5}, {20, 1}, {60, .5}, {100, 0}, {120, 0}});
  expect_factors(schedule("cosine"), {{0, 1}, {25, .853553}, {50, .5}, {100, 0}});
  expect_factors(schedule("cosine", {.num_cycles = 7, .arguments = arguments({"num_cycles=1"})}),
                 {{50, 0}, {100, 1}});
  expect_factors(schedule("inverse_sqrt"), {{0, 1}, {10000, .707107}});
  expect_factors(schedule("inverse_sqrt", {.timescale = 30}), {{90, .5}});
  expect_factors(schedule("polynomial",
                          {.power = 2, .learning_rate = 1, .arguments = arguments({"lr_end=0.1"})}),
                 {{50, .325}, {100, .1}, {200, .1}});
  expect_factors(schedule("cosine_warmup_with_min_lr", {.warmup_steps = 10, .min_lr_ratio = .2}),
                 {{0, .1}, {9, 1}, {54, .6}, {99, .2}});
  expect_factors(
      schedule("cosine_warmup_with_min_lr", {.warmup_steps = 11,
                                             .min_lr_ratio = 0.0,
                                             .arguments = arguments({"warmup_lr_rate=0.5"})}),
      {{0, .5}, {5, .75}, {10, 1}});
}

TEST(LrSchedule, WarmupStableDecayHasItsRamps) {
  const auto with = [](const char* warmup, const char* decay) {
    return make_lr_schedule({.name = "warmup_stable_decay",
                             .total_steps = 100,
                             .warmup_steps = 20,
                             .decay_steps = 40,
                             .min_lr_ratio = .1,
                             .arguments = arguments({std::string("warmup_type=") + warmup,
                                                     std::string("decay_type='") + decay + "'"})});
  };
  expect_factors(with("linear", "linear"), {{0, .1}, {5, .325}, {40, 1}, {70, .775}, {100, .1}});
  expect_factors(with("cosine", "cosine"), {{5, .9 * .146447 + .1}, {70, .9 * .853553 + .1}});
  expect_factors(with("1-sqrt", "1-sqrt"), {{5, .9 * .133975 + .1}, {70, .55}, {130, .1}});
}

// Values of torch 2.11's classes.
TEST(TorchLrSchedule, HasTheClassesFactors) {
  const auto make = [](const char* name, const std::vector<std::string>& words) {
    return make_torch_lr_schedule(name, arguments(words), 0.1, 100);
  };
  expect_factors(make("ConstantLR", {}), {{0, 1 / 3.0}, {4, 1 / 3.0}, {5, 1}});
  expect_factors(make("torch.optim.lr_scheduler.LinearLR", {"total_iters=4", "start_factor=0.5"}),
                 {{0, .5}, {1, .625}, {4, 1}, {9, 1}});
  expect_factors(make("StepLR", {"step_size=3"}), {{2, 1}, {3, .1}, {6, .01}});
  expect_factors(make("MultiStepLR", {"milestones=[3, 5]", "gamma=0.5"}),
                 {{2, 1}, {3, .5}, {5, .25}});
  expect_factors(make("ExponentialLR", {"gamma=0.9"}), {{0, 1}, {2, .81}});
  expect_factors(make("PolynomialLR", {"total_iters=10", "power=2"}), {{5, .25}, {20, 0}});
  expect_factors(make("CosineAnnealingLR", {"T_max=10", "eta_min=0.01"}),
                 {{0, 1}, {5, .55}, {10, .1}, {20, 1}});
  expect_factors(make("CosineAnnealingWarmRestarts", {"T_0=10", "T_mult=2"}),
                 {{0, 1}, {5, .5}, {10, 1}, {20, .5}, {30, 1}});
  expect_factors(
      make("OneCycleLR", {"max_lr=0.2", "cycle_momentum=False", "anneal_strategy='linear'"}),
      {{0, .08}, {29, 2}, {64, 1}, {99, .08 / 1e4}});
}

std::string complaint(const std::function<void()>& call) {
  try {
    call();
  } catch (const UsageError& error) {
    return error.where() + ": " + error.what() + " " + error.hint();
  }
  return "";
}

std::string complaint(const LrScheduleSettings& settings) {
  return complaint([&] { make_lr_schedule(settings); });
}

TEST(LrSchedule, RefusesWhatItCannotMean) {
  EXPECT_THAT(complaint({.name = "constant", .warmup_steps = 1}),
              HasSubstr("constant_with_warmup"));
  EXPECT_THAT(complaint({.name = "cosine_with_min_lr"}), HasSubstr("--lr_scheduler_min_lr_ratio"));
  EXPECT_THAT(complaint({.name = "polynomial", .learning_rate = 1e-7}),
              HasSubstr("--learning_rate"));
  EXPECT_THAT(complaint({.name = "piecewise_constant"}), HasSubstr("step_rules"));
  EXPECT_THAT(
      complaint({.name = "piecewise_constant", .arguments = arguments({"step_rules=1:x,2"})}),
      HasSubstr("step_rules"));
  EXPECT_THAT(
      complaint({.name = "linear", .arguments = arguments({"decay_type=linear"})}),
      HasSubstr("--lr_scheduler_args: \"decay_type\" is no setting of the schedule linear"));
  EXPECT_THAT(complaint({.name = "warmup_stable_decay",
                         .total_steps = 10,
                         .arguments = arguments({"decay_type=steep"})}),
              HasSubstr("1-sqrt"));
  EXPECT_THAT(
      complaint(
          {.name = "warmup_stable_decay", .total_steps = 9, .warmup_steps = 5, .decay_steps = 5}),
      HasSubstr("--lr_decay_steps"));
}

TEST(TorchLrSchedule, RefusesWhatItHasNot) {
  const auto of = [](const char* name, const std::vector<std::string>& words) {
    return complaint([&] { make_torch_lr_schedule(name, arguments(words), 0.1, 100); });
  };
  EXPECT_THAT(of("LambdaLR", {}), HasSubstr("CosineAnnealingLR"));
  EXPECT_THAT(of("StepLR", {}), HasSubstr("step_size"));
  EXPECT_THAT(of("OneCycleLR", {"max_lr=1"}), HasSubstr("cycle_momentum=False"));
  EXPECT_THAT(of("StepLR", {"step_size=0"}), HasSubstr("at least 1"));
}

TEST(LrPlateau, LowersTheRateWhenTheEpochsLossStays) {
  LrPlateau plateau(arguments({"factor=0.5", "patience=1", "cooldown=1", "min_lr=0.3"}), 1.0);
  std::vector<double> factors;
  for (const double loss : {1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}) {
    plateau.observe(loss + 0.1, false);
    plateau.observe(NAN, false);
    plateau.observe(loss - 0.1, true);
    factors.push_back(plateau.factor());
  }
  EXPECT_EQ(factors, (std::vector<double>{1, 1, 1, .5, .5, .5, .3, .3, .3}));
}

TEST(LrPlateau, GoesOnFromItsState) {
  const OptimizerArguments words = arguments({"patience=0"});
  LrPlateau straight(words, 1.0), first(words, 1.0), second(words, 1.0);
  const std::pair<double, bool> losses[] = {
      {1, false}, {2, true}, {2, false}, {1, true}, {3, true}};
  for (size_t i = 0; i < 5; ++i) {
    straight.observe(losses[i].first, losses[i].second);
    (i < 3 ? first : second).observe(losses[i].first, losses[i].second);
    if (i == 2) second.restore(first.state());
  }
  EXPECT_EQ(second.state(), straight.state());
  EXPECT_LT(straight.factor(), 1);
}

}  // namespace
}  // namespace sdtune
