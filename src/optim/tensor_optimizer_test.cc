#include "optim/tensor_optimizer.h"

#include <gtest/gtest.h>

#include <map>

#include "optim/adamw.h"

namespace sdtune {
namespace {

// weight -= rate * gradient, and a count of updates.
class Descent : public TensorOptimizer {
 public:
  using TensorOptimizer::TensorOptimizer;

 protected:
  void add_state(const at::Tensor&, ParameterState& state) const override {
    state.add("count", state_number(0));
  }
  void apply(TensorUpdate& update) override {
    update.weight.sub_(update.gradient, update.rate);
    update.state["count"].add_(1);
  }
};

at::Tensor weight_of(at::ScalarType type, double value, int64_t count = 4096) {
  return at::full({count}, value, type).requires_grad_(true);
}

void set_gradient(at::Tensor& weight, double value) {
  weight.mutable_grad() = at::full_like(weight.detach(), value);
}

double average(const at::Tensor& weight) {
  return weight.detach().to(at::kDouble).mean().item<double>();
}

TEST(TensorOptimizer, SmallUpdatesOfBf16WeightsAddUpOnlyWithStochasticRounding) {
  // Each update is a sixteenth of the distance between neighbours of bf16 at 1.
  for (const bool stochastic : {true, false}) {
    at::Tensor weight = weight_of(at::kBFloat16, 1.0);
    Descent optimizer({{{{"w", weight}}, 0x1p-11}});
    optimizer.round_stochastically(stochastic);
    for (int64_t step = 0; step < 64; ++step) {
      set_gradient(weight, -1);
      optimizer.step({.seed = 5, .step = step});
    }
    EXPECT_EQ(weight.scalar_type(), at::kBFloat16);
    EXPECT_NEAR(average(weight), stochastic ? 1 + 0x1p-5 : 1, 1e-3) << stochastic;
  }
}

TEST(TensorOptimizer, DrawsAreFunctionsOfSeedStepAndNameNotOfGroups) {
  const auto updated = [](uint64_t seed, int64_t step, const std::string& name, bool apart) {
    at::Tensor weight = weight_of(at::kBFloat16, 1.0), other = weight_of(at::kBFloat16, 1.0);
    std::vector<ParameterGroup> groups = {{{{"other", other}, {name, weight}}, 0x1p-9}};
    if (apart) groups = {{{{name, weight}}, 0x1p-9}, {{{"other", other}}, 0x1p-9}};
    Descent optimizer(std::move(groups));
    set_gradient(weight, -1);
    set_gradient(other, -1);
    optimizer.step({.seed = seed, .step = step});
    return weight.detach();
  };
  const at::Tensor first = updated(1, 2, "w", false);
  EXPECT_TRUE(updated(1, 2, "w", true).equal(first));
  EXPECT_FALSE(updated(2, 2, "w", false).equal(first));
  EXPECT_FALSE(updated(1, 3, "w", false).equal(first));
  EXPECT_FALSE(updated(1, 2, "v", false).equal(first));
}

TEST(TensorOptimizer, HalfWeightsAreStoredToNearest) {
  at::Tensor weight = weight_of(at::kHalf, 1.0);
  Descent optimizer({{{{"w", weight}}, 1}});
  set_gradient(weight, -0x1p-11 * 1.5);  // three quarters of the distance between neighbours
  optimizer.step({});
  EXPECT_TRUE(weight.detach().to(at::kFloat).eq(1 + 0x1p-10).all().item<bool>());
}

TEST(TensorOptimizer, StateIsFp32ForNarrowWeightsAndKeepsItsName) {
  at::Tensor weight = weight_of(at::kBFloat16, 1.0, 6);
  AdamW optimizer({{{{"unet.w", weight}}, 0.1}}, {.amsgrad = true});
  std::map<std::string, at::ScalarType> types;
  optimizer.visit_state(
      [&](const std::string& name, at::Tensor& state) { types[name] = state.scalar_type(); });
  const std::map<std::string, at::ScalarType> expected = {{"unet.w.exp_avg", at::kFloat},
                                                          {"unet.w.exp_avg_sq", at::kFloat},
                                                          {"unet.w.max_exp_avg_sq", at::kFloat},
                                                          {"unet.w.step", at::kFloat}};
  EXPECT_EQ(types, expected);
}

TEST(TensorOptimizer, GradientsInAnotherLayoutMeanTheSame) {
  at::Tensor plain = at::randn({4, 3, 3, 3}).requires_grad_(true);
  at::Tensor last =
      plain.detach().clone().contiguous(at::MemoryFormat::ChannelsLast).requires_grad_(true);
  const at::Tensor gradient = at::randn({4, 3, 3, 3});
  AdamW a({{{{"w", plain}}, 0.1}}, {}), b({{{{"w", last}}, 0.1}}, {});
  plain.mutable_grad() = gradient;
  last.mutable_grad() = gradient;
  a.step({});
  b.step({});
  EXPECT_LT((plain - last).abs().max().item<double>(), 1e-6);
}

// Remembers what it is given.
class Given : public TensorOptimizer {
 public:
  using TensorOptimizer::TensorOptimizer;
  at::Tensor weight, gradient;

 protected:
  void add_state(const at::Tensor&, ParameterState&) const override {}
  void apply(TensorUpdate& update) override {
    weight = update.weight;
    gradient = update.gradient;
  }
};

TEST(TensorOptimizer, GradientsThatDifferInEmptyStridesAloneAreNotCopied) {
  for (const auto& [sizes, is_same] :
       std::vector<std::pair<std::vector<int64_t>, bool>>{{{6, 4, 1, 1}, true},
                                                          {{1, 4, 3, 3}, false},
                                                          {{6, 1, 3, 3}, true},
                                                          {{6, 4, 3, 1}, false}}) {
    const at::Tensor values = at::randn(sizes).contiguous(at::MemoryFormat::ChannelsLast);
    at::Tensor weight = at::empty(sizes, at::MemoryFormat::ChannelsLast).copy_(values);
    const at::Tensor gradient = at::randn(sizes);
    ASSERT_NE(weight.strides(), gradient.strides());
    weight.requires_grad_(true).mutable_grad() = gradient;
    Given optimizer({{{{"w", weight}}, 1}});
    optimizer.step({});
    EXPECT_EQ(optimizer.gradient.is_alias_of(gradient), is_same) << sizes;
    EXPECT_EQ(optimizer.gradient.strides(), optimizer.weight.strides()) << sizes;
    EXPECT_TRUE(optimizer.gradient.equal(gradient)) << sizes;
  }
}

TEST(TensorOptimizer, UpdatingTensorByTensorIsTheStep) {
  at::Tensor a = weight_of(at::kFloat, 1.0), b = weight_of(at::kFloat, 1.0);
  Descent whole({{{{"w", a}}, 0.1}}), single({{{{"w", b}}, 0.1}});
  set_gradient(a, 2);
  set_gradient(b, 2);
  whole.step({.lr_factor = 0.5});
  single.update_tensor(0, 0, {.lr_factor = 0.5});
  EXPECT_TRUE(a.equal(b));
  EXPECT_NEAR(average(a), 0.9, 1e-6);
}

}  // namespace
}  // namespace sdtune
