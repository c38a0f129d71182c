#include "optim/host_state.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/load_cuda.h"
#include "optim/adamw.h"

namespace sdtune {
namespace {

constexpr int64_t kSize = 8;

TEST(HostMemory, HoldsManyTensorsInFewSlabs) {
  std::vector<at::Tensor> slabs;
  HostMemory memory([&](int64_t bytes) {
    slabs.push_back(at::empty({bytes}, at::kByte));
    return slabs.back();
  });
  const std::vector<at::Tensor> tensors = {at::linspace(0, 1, 4 * 6 * 3 * 3)
                                               .view({4, 6, 3, 3})
                                               .contiguous(at::MemoryFormat::ChannelsLast),
                                           at::full({1001}, 3, at::kByte),
                                           at::full({}, 7.0, at::kDouble)};
  std::vector<at::Tensor> copies;
  for (const at::Tensor& tensor : tensors) copies.push_back(memory.copy_of(tensor));
  EXPECT_EQ(slabs.size(), 1U);
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_TRUE(copies[i].equal(tensors[i])) << i;
    EXPECT_EQ(copies[i].strides(), tensors[i].strides());
    EXPECT_EQ(copies[i].scalar_type(), tensors[i].scalar_type());
    EXPECT_TRUE(copies[i].is_alias_of(slabs[0]));
  }
}

TEST(HostMemory, FillsWhatLargeTensorsLeave) {
  std::vector<int64_t> asked;
  const auto allocate = [&](int64_t bytes) {
    asked.push_back(bytes);
    return at::empty({bytes}, at::kByte);
  };
  HostMemory memory(allocate, /*slab_bytes=*/4096);
  for (const int64_t bytes : {3072, 2048, 8192, 1024, 2000}) {
    memory.copy_of(at::empty({bytes}, at::kByte));
  }
  EXPECT_EQ(asked, (std::vector<int64_t>{4096, 4096, 8192}));
}

StateTravel travel_of_all() {
  return StateTravel(at::kCPU, [](const at::Tensor& tensor) { return tensor.dim() > 0; });
}

ParameterState state_of(double value) {
  ParameterState state;
  state.add("average", at::full({kSize}, value));
  state.add("step", at::full({}, value));
  return state;
}

TEST(StateTravel, BringsHomeWhatTheVisitChanged) {
  StateTravel travel = travel_of_all();
  ParameterState state = state_of(1);
  const at::Tensor host = state["average"], number = state["step"];
  travel.set_out(state);
  EXPECT_FALSE(state["average"].is_alias_of(host));
  EXPECT_TRUE(state["step"].is_same(number)) << "what stays was sent";
  travel.arrive();
  state["average"].mul_(3);
  EXPECT_TRUE(host.equal(at::ones({kSize})));
  travel.go_home(state);
  EXPECT_TRUE(state["average"].is_same(host));
  EXPECT_TRUE(host.equal(at::full({kSize}, 3.0)));
}

TEST(StateTravel, NeedsADevice) {
  StateTravel travel(at::kCPU);
  ParameterState state = state_of(1);
  const at::Tensor host = state["average"];
  travel.set_out(state);
  EXPECT_TRUE(state["average"].is_same(host));
  travel.arrive();
  travel.go_home(state);
  EXPECT_TRUE(state["average"].is_same(host));
}

TEST(StateTravel, OfTheSameStateWaitsForItsWayHome) {
  StateTravel travel = travel_of_all();
  ParameterState state = state_of(1);
  for (int i = 0; i < 3; ++i) {
    travel.set_out(state);
    EXPECT_EQ(travel.underway(), 1U) << "it sets out again before it is home";
    travel.arrive();
    travel.go_home(state);
  }
}

// A moving average of gradients, whose states travel where `travels`.
class Momentum : public TensorOptimizer {
 public:
  Momentum(std::vector<ParameterGroup> groups, bool travels) : TensorOptimizer(std::move(groups)) {
    if (travels) travel_ = std::make_unique<StateTravel>(travel_of_all());
  }

  std::vector<size_t> underway;  // at each update

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    state.add("average", state_zeros(parameter));
  }
  void apply(TensorUpdate& update) override {
    if (travel_) underway.push_back(travel_->underway());
    at::Tensor& average = update.state["average"];
    average.mul_(0.5).add_(update.gradient);
    update.weight.sub_(average, update.rate);
  }
};

std::vector<ParameterGroup> groups_of(int64_t count) {
  ParameterGroup first{.learning_rate = 0.1}, second{.learning_rate = 0.2};
  for (int64_t i = 0; i < count; ++i) {
    at::Tensor weight = at::full({kSize + i}, static_cast<double>(i)).requires_grad_(true);
    if (i != 1) weight.mutable_grad() = at::full({kSize + i}, static_cast<double>(i + 1));
    (i < 2 ? first : second).parameters.push_back({std::to_string(i), weight});
  }
  return {first, second};
}

TEST(StateTravel, LeavesAnOptimizerItsUpdates) {
  Momentum plain(groups_of(6), false), travelling(groups_of(6), true);
  for (int64_t step = 0; step < 4; ++step) {
    plain.step({.step = step});
    travelling.step({.step = step});
  }
  for (size_t g = 0; g < 2; ++g) {
    for (size_t i = 0; i < plain.groups()[g].parameters.size(); ++i) {
      EXPECT_TRUE(travelling.groups()[g].parameters[i].tensor.equal(
          plain.groups()[g].parameters[i].tensor));
    }
  }
  std::vector<at::Tensor> wanted, found;
  plain.visit_state([&](const std::string&, at::Tensor& state) { wanted.push_back(state); });
  travelling.visit_state([&](const std::string&, at::Tensor& state) { found.push_back(state); });
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(found[i].equal(wanted[i])) << i;
  // Five have gradients: the next is under way while one is updated and the last one leaves.
  ASSERT_EQ(travelling.underway.size(), 4U * 5U);
  EXPECT_EQ(*std::ranges::max_element(travelling.underway), kVisitingStates);
  EXPECT_EQ(travelling.underway[0], 2U);
  EXPECT_EQ(travelling.underway[1], 3U);
}

TEST(StateTravel, IsTheSameOnCuda) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  const auto trained = [](bool on_host) {
    std::vector<ParameterGroup> groups = {{.learning_rate = 0.1}};
    for (int64_t i = 0; i < 8; ++i) {
      at::Tensor weight = at::linspace(0, 1, (i + 1) << 18, at::kFloat).to(at::kCUDA);
      weight.requires_grad_(true).mutable_grad() = weight.detach() - 0.5;
      groups[0].parameters.push_back({std::to_string(i), weight});
    }
    auto optimizer = std::make_unique<AdamW>(std::move(groups), AdamWOptions{});
    if (on_host) optimizer->keep_state_on_host();
    for (int64_t step = 0; step < 5; ++step) optimizer->step({.step = step});
    return optimizer;
  };
  const auto there = trained(false), travelling = trained(true);
  std::vector<at::Tensor> wanted, found;
  there->visit_state([&](const std::string&, at::Tensor& state) { wanted.push_back(state.cpu()); });
  travelling->visit_state([&](const std::string&, at::Tensor& state) {
    EXPECT_TRUE(state.is_pinned());
    found.push_back(state);
  });
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(found[i].equal(wanted[i])) << i;
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(travelling->groups()[0].parameters[i].tensor.equal(
        there->groups()[0].parameters[i].tensor));
  }
}

}  // namespace
}  // namespace sdtune
