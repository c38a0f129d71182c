#include "optim/optimizer_8bit.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numbers>

#include "base/error.h"
#include "kernels/load_cuda.h"
#include "kernels/optimizer_8bit.h"
#include "optim/adamw.h"
#include "optim/make_optimizer.h"

namespace sdtune {
namespace {

using testing::HasSubstr;

at::Tensor normal(at::IntArrayRef shape, uint64_t seed, double scale) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed)) * scale;
}

// A matrix of 8-bit states and a vector of fp32 ones.
struct Net {
  at::Tensor matrix = normal({64, 100}, 1, 0.1).requires_grad_(true);
  at::Tensor vector = normal({50}, 2, 0.1).requires_grad_(true);

  std::vector<ParameterGroup> groups(double rate = 1e-3) {
    return {{{{"unet.matrix", matrix}, {"unet.vector", vector}}, rate}};
  }
  void set_gradients(uint64_t step) {
    matrix.mutable_grad() = normal({64, 100}, 100 + step, 0.01).to(matrix.device());
    vector.mutable_grad() = normal({50}, 200 + step, 0.01).to(vector.device());
  }
};

std::map<std::string, at::Tensor> state_of(Optimizer& optimizer) {
  std::map<std::string, at::Tensor> state;
  optimizer.visit_state([&](const std::string& name, at::Tensor& t) { state[name] = t; });
  return state;
}

void take_steps(Optimizer& optimizer, Net& net, int64_t first, int64_t end) {
  for (int64_t step = first; step < end; ++step) {
    net.set_gradients(static_cast<uint64_t>(step));
    optimizer.step({.step = step});
  }
}

OptimizerArguments words(const std::vector<std::string>& list) { return OptimizerArguments(list); }

struct Named {
  std::string type;
  std::vector<std::string> arguments;
};

class Optimizers8bit : public testing::TestWithParam<Named> {};

TEST_P(Optimizers8bit, ContinueBitForBitFromSavedState) {
  Net straight, broken;
  const auto make = [&](Net& net) {
    return make_optimizer(GetParam().type, net.groups(), words(GetParam().arguments));
  };
  const auto whole = make(straight);
  take_steps(*whole, straight, 0, 8);
  const auto first = make(broken);
  take_steps(*first, broken, 0, 5);
  const std::map<std::string, at::Tensor> saved = state_of(*first);
  const auto second = make(broken);
  second->visit_state([&](const std::string& name, at::Tensor& t) { t.copy_(saved.at(name)); });
  take_steps(*second, broken, 5, 8);
  EXPECT_TRUE(straight.matrix.equal(broken.matrix));
  EXPECT_TRUE(straight.vector.equal(broken.vector));
  const std::map<std::string, at::Tensor> end = state_of(*second);
  for (const auto& [name, tensor] : state_of(*whole)) EXPECT_TRUE(tensor.equal(end.at(name)));
}

TEST_P(Optimizers8bit, TrainBf16Weights) {
  Net net;
  net.matrix = net.matrix.detach().to(at::kBFloat16).requires_grad_(true);
  const at::Tensor before = net.matrix.detach().clone();
  const auto optimizer = make_optimizer(GetParam().type, net.groups(), words(GetParam().arguments));
  take_steps(*optimizer, net, 0, 3);
  EXPECT_EQ(net.matrix.scalar_type(), at::kBFloat16);
  EXPECT_GT((net.matrix != before).to(at::kFloat).mean().item<double>(), 0.1);
  EXPECT_TRUE(net.matrix.isfinite().all().item<bool>());
}

// A gradient in fp32 sends a bf16 weight through the base's fp32 copy.
TEST_P(Optimizers8bit, TrainBf16WeightsInOnePassToTheSameBits) {
  Net one_pass, copied;
  for (Net* net : {&one_pass, &copied}) {
    net->matrix = net->matrix.detach().to(at::kBFloat16).requires_grad_(true);
  }
  const auto a = make_optimizer(GetParam().type, one_pass.groups(), words(GetParam().arguments));
  const auto b = make_optimizer(GetParam().type, copied.groups(), words(GetParam().arguments));
  for (int64_t step = 0; step < 3; ++step) {
    for (Net* net : {&one_pass, &copied}) {
      net->set_gradients(static_cast<uint64_t>(step));
      const at::Tensor narrow = net->matrix.grad().to(at::kBFloat16);
      net->matrix.mutable_grad().reset();
      net->matrix.mutable_grad() = net == &one_pass ? narrow : narrow.to(at::kFloat);
    }
    a->step({.seed = 3, .step = step});
    b->step({.seed = 3, .step = step});
  }
  EXPECT_TRUE(one_pass.matrix.equal(copied.matrix));
}

at::Tensor convolution(uint64_t seed, at::ScalarType type, const at::Device& device) {
  return normal({24, 40, 3, 3}, seed, 0.1).to(device, type);
}

void expect_layouts_to_train_alike(const Named& named, at::ScalarType type,
                                   const at::Device& device) {
  const auto trained = [&](at::MemoryFormat of_weight, at::MemoryFormat of_gradient) {
    at::Tensor weight = convolution(1, type, device).contiguous(of_weight).requires_grad_(true);
    const auto optimizer =
        make_optimizer(named.type, {{{{"w", weight}}, 1e-3}}, words(named.arguments));
    for (int64_t step = 0; step < 3; ++step) {
      weight.mutable_grad() =
          convolution(10 + static_cast<uint64_t>(step), type, device).contiguous(of_gradient);
      optimizer->step({.seed = 3, .step = step});
    }
    return weight.detach();
  };
  constexpr auto kPlain = at::MemoryFormat::Contiguous, kLast = at::MemoryFormat::ChannelsLast;
  const at::Tensor wanted = trained(kPlain, kPlain);
  EXPECT_TRUE(trained(kLast, kLast).equal(wanted)) << type << device;
  EXPECT_TRUE(trained(kLast, kPlain).equal(wanted)) << type << device;
}

TEST_P(Optimizers8bit, TrainChannelsLastWeightsToTheSameBits) {
  if (!GetParam().type.ends_with("8bit")) GTEST_SKIP() << "in the order of memory";
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    expect_layouts_to_train_alike(GetParam(), type, at::kCPU);
    if (load_cuda()) expect_layouts_to_train_alike(GetParam(), type, at::kCUDA);
  }
}

// Two steps with one between them that the device left out.
void expect_step_to_be_forgotten(const Named& named, const at::Device& device) {
  Net plain, skipping;
  for (Net* net : {&plain, &skipping}) {
    net->matrix = net->matrix.detach().to(device).requires_grad_(true);
    net->vector = net->vector.detach().to(device).requires_grad_(true);
  }
  const auto a = make_optimizer(named.type, plain.groups(), words(named.arguments));
  const auto b = make_optimizer(named.type, skipping.groups(), words(named.arguments));
  take_steps(*a, plain, 0, 1);
  take_steps(*b, skipping, 0, 1);
  skipping.set_gradients(5);
  const auto options = at::TensorOptions(at::kFloat).device(device);
  b->step({.step = 1, .device_scale = at::full({}, std::nan(""), options)});
  b->forget_step();
  EXPECT_TRUE(skipping.matrix.equal(plain.matrix) && skipping.vector.equal(plain.vector));
  take_steps(*a, plain, 1, 2);
  take_steps(*b, skipping, 1, 2);
  EXPECT_TRUE(skipping.matrix.equal(plain.matrix) && skipping.vector.equal(plain.vector));
  const std::map<std::string, at::Tensor> wanted = state_of(*a);
  for (const auto& [name, state] : state_of(*b)) EXPECT_TRUE(state.equal(wanted.at(name))) << name;
}

TEST_P(Optimizers8bit, ForgetAStepThatTheDeviceLeftOut) {
  if (GetParam().type.ends_with("8bit")) expect_step_to_be_forgotten(GetParam(), at::kCPU);
  if (load_cuda()) expect_step_to_be_forgotten(GetParam(), at::kCUDA);
}

TEST_P(Optimizers8bit, DoOnCudaWhatTheyDoOnTheCpu) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  Net here, there;
  there.matrix = there.matrix.detach().cuda().requires_grad_(true);
  there.vector = there.vector.detach().cuda().requires_grad_(true);
  const auto a = make_optimizer(GetParam().type, here.groups(), words(GetParam().arguments));
  const auto b = make_optimizer(GetParam().type, there.groups(), words(GetParam().arguments));
  take_steps(*a, here, 0, 4);
  take_steps(*b, there, 0, 4);
  EXPECT_LT((here.matrix - there.matrix.cpu()).abs().mean().item<double>(), 1e-6);
  EXPECT_LT((here.vector - there.vector.cpu()).abs().max().item<double>(), 1e-6);
  const bool paged = GetParam().type.starts_with("Paged");
  for (const auto& [name, tensor] : state_of(*b)) {
    // Rules of 8 bits count their steps in the host's own memory, those of 32 bits on the device.
    const bool travels = tensor.numel() > 1 || GetParam().type.starts_with("PagedAdamW");
    EXPECT_EQ(tensor.is_pinned(), paged && travels) << name;
  }
}

// As the expected memory is counted: no values, only shapes.
TEST_P(Optimizers8bit, KnowTheirStateWithoutValues) {
  Net net, shapes;
  shapes.matrix = shapes.matrix.detach().to(at::kMeta);
  shapes.vector = shapes.vector.detach().to(at::kMeta);
  const auto real = make_optimizer(GetParam().type, net.groups(), words(GetParam().arguments));
  const auto meta = make_optimizer(GetParam().type, shapes.groups(), words(GetParam().arguments));
  const std::map<std::string, at::Tensor> expected = state_of(*real), found = state_of(*meta);
  ASSERT_EQ(expected.size(), found.size());
  for (const auto& [name, tensor] : expected) EXPECT_EQ(found.at(name).nbytes(), tensor.nbytes());
}

INSTANTIATE_TEST_SUITE_P(
    All, Optimizers8bit,
    testing::Values(Named{"AdamW8bit", {}}, Named{"Adam8bit", {"betas=0.8,0.9", "eps=1e-6"}},
                    Named{"Lion8bit", {"weight_decay=0.1"}}, Named{"SGD8bit", {"momentum=0.9"}},
                    Named{"SGDNesterov8bit", {}}, Named{"AdEMAMix8bit", {"t_alpha=6", "t_beta3=6"}},
                    Named{"PagedAdamW8bit", {}}, Named{"PagedLion8bit", {}},
                    Named{"PagedAdamW", {}}, Named{"PagedAdamW32bit", {"weight_decay=0.1"}}),
    [](const auto& test) { return test.param.type; });

TEST(Optimizer8bit, StateIsTwoBytesAParameter) {
  at::Tensor weight = normal({1280, 1280}, 1, 0.1).requires_grad_(true);
  const auto optimizer = make_optimizer("AdamW8bit", {{{{"w", weight}}, 1e-3}}, {});
  size_t bytes = 0;
  optimizer->visit_state([&](const std::string&, at::Tensor& t) { bytes += t.nbytes(); });
  EXPECT_LT(static_cast<double>(bytes) / (1280 * 1280), 2.04);
  EXPECT_GE(bytes, size_t{2 * 1280 * 1280});
}

TEST(Optimizer8bit, SmallTensorsKeepFp32States) {
  Net net;
  Optimizer8bit optimizer(net.groups(), {});
  std::map<std::string, at::ScalarType> types;
  for (const auto& [name, tensor] : state_of(optimizer)) types[name] = tensor.scalar_type();
  const std::map<std::string, at::ScalarType> expected = {
      {"unet.matrix.exp_avg_codes", at::kByte},    {"unet.matrix.exp_avg_absmax", at::kFloat},
      {"unet.matrix.exp_avg_sq_codes", at::kByte}, {"unet.matrix.exp_avg_sq_absmax", at::kFloat},
      {"unet.matrix.step", at::kDouble},           {"unet.vector.exp_avg", at::kFloat},
      {"unet.vector.exp_avg_sq", at::kFloat},      {"unet.vector.step", at::kDouble}};
  EXPECT_EQ(types, expected);
}

// bitsandbytes' own test, with its bounds: before each step the fp32 optimizer gets the weights and
// the moments that the codes stand for.
TEST(Optimizer8bit, EachOfTwentyStepsIsWithinBitsandbytesBoundsOfAdamW) {
  Net near, exact;
  const auto optimizer = make_optimizer("AdamW8bit", near.groups(), {});
  AdamW adamw(exact.groups(), {});
  for (int64_t step = 0; step < 20; ++step) {
    take_steps(*optimizer, near, step, step + 1);
    take_steps(adamw, exact, step, step + 1);
    const at::Tensor error = (near.matrix - exact.matrix).detach().abs();
    EXPECT_LT(error.mean().item<double>(), 6e-5);
    EXPECT_LT((error / (exact.matrix.detach().abs() + 1e-9)).mean().item<double>(), 6e-4);
    EXPECT_LT((near.vector - exact.vector).abs().max().item<double>(), 1e-6);
    const auto from = state_of(*optimizer), to = state_of(adamw);
    exact.matrix.detach().copy_(near.matrix.detach());
    for (const std::string name : {"unet.matrix.exp_avg", "unet.matrix.exp_avg_sq"}) {
      const Quantized8bit moment = {from.at(name + "_codes"), from.at(name + "_absmax")};
      const at::Tensor values = dequantize_8bit(moment, !name.ends_with("sq"));
      EXPECT_LT((values - to.at(name)).abs().max().item<double>(), 3e-3);
      at::Tensor(to.at(name)).copy_(values);
    }
  }
}

// A net that learns a larger one's outputs, which it cannot reach, so that the loss stays away from
// zero and its end can be compared; the rate falls to 0 as in training.
class Regression {
 public:
  double loss() const { return at::mse_loss(outputs(x_), y_).item<double>(); }

  void train(const std::string& type, const std::vector<std::string>& arguments) {
    constexpr int64_t kSteps = 400;
    const auto optimizer =
        make_optimizer(type, {{{{"a", a_}, {"b", b_}, {"c", c_}}, 3e-3}}, words(arguments));
    const auto generator = at::make_generator<at::CPUGeneratorImpl>(7);
    for (int64_t step = 0; step < kSteps; ++step) {
      const at::Tensor rows = at::randint(2048, {64}, generator);
      at::mse_loss(outputs(x_.index_select(0, rows)), y_.index_select(0, rows)).backward();
      const double done = static_cast<double>(step) / kSteps;
      optimizer->step({.lr_factor = 0.5 * (1 + std::cos(std::numbers::pi * done)), .step = step});
      optimizer->zero_grad();
    }
  }

 private:
  at::Tensor outputs(const at::Tensor& x) const { return x.mm(a_).tanh().mm(b_).tanh().mm(c_); }

  at::Tensor x_ = normal({2048, 32}, 1, 1);
  at::Tensor y_ = x_.mm(normal({32, 400}, 2, 0.3)).tanh().mm(normal({400, 16}, 3, 0.1));
  at::Tensor a_ = normal({32, 128}, 4, 0.2).requires_grad_(true);
  at::Tensor b_ = normal({128, 128}, 5, 0.1).requires_grad_(true);
  at::Tensor c_ = normal({128, 16}, 6, 0.1).requires_grad_(true);
};

TEST(Optimizer8bit, TrainsToWithinTwoPercentOfAdamW) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);  // small matrices: more threads only wait for each other
  Regression exact, quantized;
  const double start = exact.loss();
  exact.train("AdamW", {});
  quantized.train("AdamW8bit", {"min_8bit_size=0"});
  at::set_num_threads(threads);
  EXPECT_LT(exact.loss(), start / 4);
  EXPECT_NEAR(quantized.loss() / exact.loss(), 1, 0.02);
  EXPECT_NE(quantized.loss(), exact.loss());
}

TEST(Optimizer8bit, AdEMAMixRisesToItsFullStrength) {
  const auto weight_after = [](const std::vector<std::string>& arguments, int64_t steps) {
    Net net;
    const auto optimizer = make_optimizer("AdEMAMix8bit", net.groups(), words(arguments));
    take_steps(*optimizer, net, 0, steps);
    return net.vector.detach().clone();
  };
  // At the end of the rise alpha is what it is without one.
  EXPECT_TRUE(weight_after({"t_alpha=1"}, 3).equal(weight_after({}, 3)));
  EXPECT_FALSE(weight_after({"t_alpha=100"}, 3).equal(weight_after({}, 3)));
  EXPECT_TRUE(weight_after({"t_beta3=1"}, 3).equal(weight_after({}, 3)));
  EXPECT_FALSE(weight_after({"t_beta3=100"}, 3).equal(weight_after({}, 3)));
}

TEST(PagedAdamW, IsAdamWBitForBit) {
  Net paged, plain;
  const auto optimizer = make_optimizer("PagedAdamW", paged.groups(), {});
  AdamW adamw(plain.groups(), {});
  take_steps(*optimizer, paged, 0, 5);
  take_steps(adamw, plain, 0, 5);
  EXPECT_TRUE(paged.matrix.equal(plain.matrix));
  EXPECT_TRUE(paged.vector.equal(plain.vector));
}

std::string failure_of(const std::string& type, const std::vector<std::string>& arguments) {
  try {
    make_optimizer(type, {}, words(arguments));
  } catch (const UsageError& error) {
    return fmt::format("{} | {} | {}", error.what(), error.where(), error.hint());
  }
  return "";
}

TEST(Optimizer8bit, TakesBitsandbytesSettingsAtTheValuesThatWork) {
  const std::vector<std::string> common = {"optim_bits=32",       "percentile_clipping=100",
                                           "block_wise=True",     "amsgrad=False",
                                           "min_8bit_size=16384", "is_paged=True"};
  EXPECT_EQ(failure_of("adamw8bit", common), "");
  EXPECT_THAT(failure_of("AdamW8bit", {"percentile_clipping=5"}), HasSubstr("--max_grad_norm"));
  EXPECT_THAT(failure_of("AdamW8bit", {"block_wise=False"}), HasSubstr("block by block"));
  EXPECT_THAT(failure_of("AdamW8bit", {"amsgrad=True"}), HasSubstr("use AdamW"));
  EXPECT_THAT(failure_of("PagedAdamW", {"optim_bits=8"}), HasSubstr("AdamW8bit"));
  EXPECT_THAT(failure_of("SGD8bit", {"momentum=0"}), HasSubstr("momentum=0.9"));
  EXPECT_THAT(failure_of("SGD8bit", {"momentum=0.9", "dampening=0.5"}), HasSubstr("dampening"));
  EXPECT_THAT(failure_of("Lion8bit", {"eps=1e-8"}), HasSubstr("is no setting of Lion8bit"));
  EXPECT_THAT(failure_of("AdamW8bits", {}), HasSubstr("did you mean AdamW8bit?"));
}

// An optimizer that needs all tensors together.
class Joint : public TensorOptimizer {
 public:
  using TensorOptimizer::TensorOptimizer;
  bool updates_tensor_by_tensor() const override { return false; }

 protected:
  void add_state(const at::Tensor&, ParameterState&) const override {}
  void apply(TensorUpdate&) override {}
};

TEST(HostState, IsRefusedWhereAllTensorsAreNeededTogether) {
  Joint optimizer(std::vector<ParameterGroup>{});
  EXPECT_THROW(optimizer.keep_state_on_host(), UsageError);
}

}  // namespace
}  // namespace sdtune
