// What holds for every optimizer of the table.
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "optim/make_optimizer.h"

namespace sdtune {
namespace {

constexpr int64_t kSteps = 6;

struct Net {
  at::Tensor matrix, vector;

  explicit Net(at::ScalarType type = at::kFloat) {
    // Large enough for states of 8 bits.
    const at::Tensor values = at::arange(6144, at::kFloat).remainder(24).add(1).div(10);
    matrix = values.view({96, 64}).to(type, false, true).requires_grad_(true);
    vector = values.slice(0, 0, 5).to(type, false, true).requires_grad_(true);
  }

  std::vector<ParameterGroup> together(double rate) const {
    return {{{{"matrix", matrix}, {"vector", vector}}, rate}};
  }
  std::vector<ParameterGroup> apart(double rate) const {
    return {{{{"vector", vector}}, rate}, {{{"matrix", matrix}}, rate}};
  }

  void set_gradients(int64_t step) {
    for (at::Tensor* p : {&matrix, &vector}) {
      const at::Tensor wave =
          at::arange(p->numel(), at::kFloat).add(static_cast<double>(step)).sin();
      p->mutable_grad() = wave.view(p->sizes()).to(p->scalar_type());
    }
  }

  void take(const Net& other) {
    const at::NoGradGuard no_grad;
    matrix.copy_(other.matrix);
    vector.copy_(other.vector);
  }

  bool equals(const Net& other) const {
    return matrix.equal(other.matrix) && vector.equal(other.vector);
  }
};

// Rules that find the size of steps themselves want a rate of 1; their first guess of 1e-6 would be
// lost in weights of 16 bits.
bool finds_rate(const std::string& name) { return name.starts_with("DAdapt") || name == "Prodigy"; }

std::vector<std::string> arguments_for(const std::string& name) {
  if (finds_rate(name)) return {"d0=1e-2"};
  if (name == "SGD8bit") return {"momentum=0.9"};  // without it there is no state to quantize
  return {};
}

class EveryOptimizer : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Optimizer> make(std::vector<ParameterGroup> groups) const {
    return make_optimizer(GetParam(), std::move(groups),
                          OptimizerArguments(arguments_for(GetParam())));
  }
  double rate() const { return finds_rate(GetParam()) ? 1.0 : 1e-2; }
};

TEST_P(EveryOptimizer, TrainsWeightsOfEachType) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    Net net(type);
    const Net before(type);
    const auto optimizer = make(net.together(rate()));
    for (int64_t step = 0; step < kSteps; ++step) {
      net.set_gradients(step);
      optimizer->step({.seed = 1, .step = step});
    }
    EXPECT_EQ(net.matrix.scalar_type(), type);
    EXPECT_TRUE(net.matrix.isfinite().all().item<bool>());
    EXPECT_FALSE(net.equals(before)) << type;
  }
}

TEST_P(EveryOptimizer, StateGoesOnByteForByteInOtherGroups) {
  Net first, second;
  const auto one = make(first.together(rate()));
  for (int64_t step = 0; step < kSteps; ++step) {
    first.set_gradients(step);
    one->step({.lr_factor = 0.5, .step = step});
  }
  std::map<std::string, at::Tensor> saved;
  one->visit_state([&](const std::string& name, at::Tensor& t) {
    EXPECT_TRUE(saved.emplace(name, t.clone()).second) << name << " is there twice";
  });
  second.take(first);
  const auto other = make(second.apart(rate()));
  other->visit_state([&](const std::string& name, at::Tensor& t) { t.copy_(saved.at(name)); });
  for (int64_t step = kSteps; step < 2 * kSteps; ++step) {
    first.set_gradients(step);
    second.set_gradients(step);
    one->step({.lr_factor = 0.5, .step = step});
    other->step({.lr_factor = 0.5, .step = step});
  }
  EXPECT_LT((first.matrix - second.matrix).abs().max().item<double>(), 1e-6);
  // A sum over all tensors depends on their order in the last bit.
  if (one->updates_tensor_by_tensor()) {
    EXPECT_TRUE(first.equals(second));
  }
}

TEST_P(EveryOptimizer, OneTensorAtATimeIsTheWholeStep) {
  Net whole, single;
  const auto one = make(whole.together(rate()));
  const auto other = make(single.together(rate()));
  if (!one->updates_tensor_by_tensor()) {
    single.set_gradients(0);
    EXPECT_THROW(other->update_tensor(0, 0, {}), Error);
    return;
  }
  for (int64_t step = 0; step < kSteps; ++step) {
    whole.set_gradients(step);
    single.set_gradients(step);
    one->step({.step = step});
    for (const size_t index : {1, 0}) other->update_tensor(0, index, {.step = step});
  }
  EXPECT_TRUE(whole.equals(single));
}

TEST_P(EveryOptimizer, AveragedWeightsGoBackExactly) {
  Net net, trained;
  const auto optimizer = make(net.together(rate()));
  for (int64_t step = 0; step < kSteps; ++step) {
    net.set_gradients(step);
    optimizer->step({.step = step});
  }
  trained.take(net);
  {
    const AveragedWeights averaged(*optimizer);
    EXPECT_EQ(net.equals(trained), !GetParam().ends_with("ScheduleFree"));
  }
  EXPECT_TRUE(net.equals(trained));
}

TEST(ScheduleFree, WeightsGoBackWhereAveragingFailsHalfway) {
  for (const char* name : {"AdamWScheduleFree", "SGDScheduleFree", "RAdamScheduleFree"}) {
    Net net, trained;
    const auto optimizer = make_optimizer(name, net.together(1e-2), {});
    for (int64_t step = 0; step < kSteps; ++step) {
      net.set_gradients(step);
      optimizer->step({.step = step});
    }
    trained.take(net);
    const auto spoil = [&](const std::string& state, at::Tensor& tensor) {
      if (state.find("vector") != std::string::npos && state.ends_with("z")) tensor.resize_({3});
    };
    optimizer->visit_state(spoil);
    EXPECT_THROW(AveragedWeights averaged(*optimizer), c10::Error) << name;
    EXPECT_TRUE(net.equals(trained)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, EveryOptimizer, testing::ValuesIn(optimizer_names()),
                         [](const auto& test) { return test.param; });

TEST(AdaptiveRate, RefusesGroupsWithRatesOfTheirOwn) {
  for (const char* name : {"Prodigy", "DAdaptSGD"}) {
    Net net;
    std::vector<ParameterGroup> groups = net.apart(1);
    groups[1].learning_rate = 0.5;
    EXPECT_THROW(make_optimizer(name, groups, {}), UsageError);
    groups[1].learning_rate = 0;
    EXPECT_NO_THROW(make_optimizer(name, groups, {}));
  }
}

TEST(Schedules, DoNotReachRulesThatSetTheirOwnRate) {
  for (const char* name : {"AdaFactor", "AdamWScheduleFree"}) {
    Net a, b;
    const auto with = make_optimizer(name, a.together(1e-2), {});
    const auto without = make_optimizer(name, b.together(1e-2), {});
    EXPECT_FALSE(with->follows_schedule());
    a.set_gradients(0);
    b.set_gradients(0);
    with->step({.lr_factor = 0.1});
    without->step({.lr_factor = 1});
    EXPECT_TRUE(a.equals(b)) << name;
  }
}

}  // namespace
}  // namespace sdtune
