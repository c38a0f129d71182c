#include "models/checkpoint.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

#include <map>
#include <memory>

#include "base/philox.h"
#include "kernels/memory_meter.h"
#include "models/clip_text.h"
#include "models/random_init.h"
#include "models/small_models_for_test.h"
#include "models/unet_2d_condition.h"

namespace sdtune {
namespace {

template <class Model>
void require_gradients(Model& model) {
  visit_parameters(model, [](const std::string&, at::Tensor& p) { p.set_requires_grad(true); });
}

struct UNetInputs {
  at::Tensor sample;
  at::Tensor timesteps;
  at::Tensor text;
};

UNetInputs make_inputs(const UNetConfig& config, int64_t height, int64_t width) {
  Random random(5, Draw::kNoise);
  UNetInputs in{at::empty({2, 4, height, width}), at::tensor({7, 811}),
                at::empty({2, 5, config.cross_attention_dim})};
  for (at::Tensor* t : {&in.sample, &in.text}) {
    random.fill_normal({t->mutable_data_ptr<float>(), static_cast<size_t>(t->numel())});
  }
  return in;
}

using Gradients = std::map<std::string, at::Tensor>;

Gradients unet_gradients(const UNetConfig& config, bool checkpointing, bool frozen_inputs) {
  UNet2DConditionModel unet(config);
  initialise(unet, 3);
  require_gradients(unet);
  unet.gradient_checkpointing = checkpointing;
  UNetInputs in = make_inputs(config, 6, 10);
  in.sample.set_requires_grad(!frozen_inputs);
  in.text.set_requires_grad(!frozen_inputs);
  unet.forward(in.sample, in.timesteps, in.text).square().mean().backward();

  Gradients gradients;
  for (auto& [name, p] : named_parameters(unet)) gradients[name] = p.grad();
  gradients["input sample"] = in.sample.grad();
  gradients["input text"] = in.text.grad();
  return gradients;
}

void expect_same_bits(const Gradients& a, const Gradients& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, gradient] : a) {
    ASSERT_EQ(gradient.defined(), b.at(name).defined()) << name;
    if (!gradient.defined()) continue;
    EXPECT_TRUE(at::equal(gradient, b.at(name))) << name;
  }
}

TEST(Checkpoint, UNetGradientsAreTheSameBits) {
  for (const UNetConfig& config : {small_unet_v1(), small_unet_v2()}) {
    for (const bool frozen_inputs : {false, true}) {
      const Gradients plain = unet_gradients(config, false, frozen_inputs);
      expect_same_bits(plain, unet_gradients(config, true, frozen_inputs));
      EXPECT_EQ(plain.at("input text").defined(), !frozen_inputs);
      EXPECT_GT(plain.at("conv_in.weight").abs().max().item<float>(), 0);
      EXPECT_GT(plain.at("down_blocks.0.resnets.0.conv1.weight").abs().max().item<float>(), 0);
    }
  }
}

TEST(Checkpoint, ClipGradientsAreTheSameBits) {
  const auto gradients = [](bool checkpointing) {
    ClipTextModel clip(small_clip());
    initialise(clip, 3);
    require_gradients(clip);
    clip.gradient_checkpointing = checkpointing;
    clip.forward(at::arange(154).remainder(100).view({2, 77}), 2).square().mean().backward();
    Gradients all;
    for (auto& [name, p] : named_parameters(clip)) all[name] = p.grad();
    return all;
  };
  const Gradients plain = gradients(false);
  expect_same_bits(plain, gradients(true));
  EXPECT_TRUE(plain.at("text_model.encoder.layers.1.mlp.fc1.weight").defined());
  EXPECT_FALSE(
      plain.at("text_model.encoder.layers.2.mlp.fc1.weight").defined());  // left out by clip skip
}

TEST(Checkpoint, ParametersLearnBehindFrozenInputs) {
  at::Tensor weight = at::ones({3}).set_requires_grad(true);
  const auto block = [&](const std::vector<at::Tensor>& in) { return in[0] * weight; };
  run_block(true, block, {at::full({3}, 2.0)}).sum().backward();
  EXPECT_TRUE(at::equal(weight.grad(), at::full({3}, 2.0)));
}

TEST(Checkpoint, FrozenParametersPassGradientsOn) {
  const at::Tensor weight = at::full({3}, 4.0);
  const at::Tensor x = at::ones({3}).set_requires_grad(true);
  const at::Tensor frozen = at::ones({3});
  const auto block = [&](const std::vector<at::Tensor>& in) { return in[0] * weight + in[1]; };
  run_block(true, block, {x, frozen}).sum().backward();
  EXPECT_TRUE(at::equal(x.grad(), weight));
  EXPECT_FALSE(frozen.grad().defined());
}

TEST(Checkpoint, AllFrozenRunsBackwardWithoutGradients) {
  const at::Tensor x = at::ones({3});
  const at::Tensor other = at::ones({3}).set_requires_grad(true);
  const auto block = [](const std::vector<at::Tensor>& in) { return in[0] * 2; };
  (run_block(true, block, {x}) * other).sum().backward();
  EXPECT_TRUE(at::equal(other.grad(), at::full({3}, 2.0)));
  EXPECT_FALSE(x.grad().defined());
}

TEST(Checkpoint, RunsOnceWithoutGradientsAndTwiceWithThem) {
  at::Tensor weight = at::ones({3}).set_requires_grad(true);
  int runs = 0;
  const auto block = [&](const std::vector<at::Tensor>& in) {
    ++runs;
    return in[0] * weight;
  };
  {
    const at::NoGradGuard off;
    EXPECT_FALSE(run_block(true, block, {at::ones({3})}).requires_grad());
  }
  EXPECT_EQ(runs, 1);
  run_block(true, block, {at::ones({3})}).sum().backward();
  EXPECT_EQ(runs, 3);
}

TEST(Checkpoint, GradientHooksFireOnce) {
  UNet2DConditionModel unet(small_unet_v1());
  initialise(unet, 3);
  require_gradients(unet);
  unet.gradient_checkpointing = true;
  std::map<std::string, int> fired;
  for (auto& [name, p] : named_parameters(unet)) {
    p.register_hook([&fired, n = name](const at::Tensor&) { ++fired[n]; });
  }
  const UNetInputs in = make_inputs(unet.config, 8, 8);
  unet.forward(in.sample, in.timesteps, in.text).sum().backward();
  for (auto& [name, p] : named_parameters(unet)) EXPECT_EQ(fired[name], 1) << name;
}

TEST(Checkpoint, GradientsAddUpOverPasses) {
  at::Tensor weight = at::ones({3}).set_requires_grad(true);
  const auto block = [&](const std::vector<at::Tensor>& in) { return in[0] * weight; };
  run_block(true, block, {at::full({3}, 2.0)}).sum().backward();
  run_block(true, block, {at::full({3}, 5.0)}).sum().backward();
  EXPECT_TRUE(at::equal(weight.grad(), at::full({3}, 7.0)));
}

TEST(Checkpoint, KeepsLessMemory) {
  UNet2DConditionModel unet(small_unet_v1());
  initialise(unet, 3);
  require_gradients(unet);
  const UNetInputs in = make_inputs(unet.config, 32, 32);
  const auto kept = [&](bool checkpointing) {
    unet.gradient_checkpointing = checkpointing;
    auto live = std::make_shared<MemoryMeter>();
    const c10::DebugInfoGuard counting(c10::DebugInfoKind::PROFILER_STATE, live);
    const at::Tensor loss = unet.forward(in.sample, in.timesteps, in.text).sum();
    return live->now();
  };
  const int64_t with = kept(true);
  const int64_t without = kept(false);
  EXPECT_GT(with, 0);
  EXPECT_LT(with, without / 3);
}

}  // namespace
}  // namespace sdtune
