#include "models/hypernetwork.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "models/random_init.h"
#include "models/small_models_for_test.h"
#include "models/unet_2d_condition.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> names_of(const HypernetworkLayout& layout) {
  Hypernetwork hypernetwork({8}, layout);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : named_parameters(hypernetwork)) {
    if (name.starts_with("8.0.") && name.ends_with(".weight")) names.push_back(name.substr(4));
  }
  return names;
}

TEST(Hypernetwork, NamesCountActivationsNormsAndDropout) {
  EXPECT_THAT(names_of({}), ElementsAre("linear.0.weight", "linear.1.weight"));
  EXPECT_THAT(names_of({.layer_structure = {1, 2, 2, 1}, .activation = "mish"}),
              ElementsAre("linear.0.weight", "linear.2.weight", "linear.4.weight"));
  EXPECT_THAT(names_of({.layer_structure = {1, 2, 2, 1},
                        .activation = "relu",
                        .activate_output = true,
                        .layer_norm = true,
                        .dropout = {0, 0.5, 0, 0}}),
              ElementsAre("linear.0.weight", "linear.2.weight", "linear.4.weight",
                          "linear.6.weight", "linear.7.weight", "linear.9.weight"));
}

TEST(Hypernetwork, RefusesLayoutsThatMakeNoNetwork) {
  const auto message = [](const HypernetworkLayout& layout) {
    try {
      check(layout, "x.pt");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(message({}), "");
  for (const std::vector<double>& wrong : std::vector<std::vector<double>>{
           {}, {1}, {1, 2}, {2, 1}, {1, nan, 1}, {1, 0, 1}, {1, -1, 1}, {1, 1e9, 1}}) {
    EXPECT_THAT(message({.layer_structure = wrong}), HasSubstr("make no hypernetwork"));
  }
  EXPECT_THAT(message({.layer_structure = std::vector<double>(4000, 1)}),
              HasSubstr("make no hypernetwork"));
  EXPECT_THAT(message({.activation = "os.system"}), HasSubstr("no activation \"os.system\""));
  EXPECT_THAT(message({.dropout = {0, 0.5}}), HasSubstr("dropout does not fit"));
  EXPECT_THAT(message({.dropout = {0, 1, 0}}), HasSubstr("dropout does not fit"));
  EXPECT_THAT(message({.dropout = {0, nan, 0}}), HasSubstr("dropout does not fit"));
}

TEST(Hypernetwork, StartsNearTheModelFromTheSeed) {
  const auto drawn = [](uint64_t seed) {
    Hypernetwork hypernetwork({320}, {.layer_norm = true});
    draw_weights(hypernetwork, seed);
    return hypernetwork;
  };
  Hypernetwork first = drawn(1), second = drawn(1), other = drawn(2);
  const auto& layer = first.pairs.at(320).keys.layers[0];
  EXPECT_NEAR(layer.linear.weight.std().item<double>(), 0.01, 2e-4);
  EXPECT_NEAR(layer.norm->weight.std().item<double>(), 0.01, 2e-3);
  EXPECT_EQ(layer.linear.bias.abs().max().item<double>(), 0);
  EXPECT_TRUE(layer.linear.weight.equal(second.pairs.at(320).keys.layers[0].linear.weight));
  EXPECT_FALSE(layer.linear.weight.equal(other.pairs.at(320).keys.layers[0].linear.weight));
  EXPECT_FALSE(layer.linear.weight.equal(first.pairs.at(320).values.layers[0].linear.weight));
}

// x + m · net(x) by hand, with one layer that doubles.
TEST(Hypernetwork, AddsItsMultipleToTheContext) {
  HypernetworkModule module(2, {.layer_structure = {1, 1}});
  module.layers[0].linear.weight = 2 * at::eye(2);
  module.layers[0].linear.bias = at::zeros({2});
  const at::Tensor x = at::tensor({1.0f, -3.0f}).view({1, 1, 2});
  EXPECT_TRUE(module.forward(x, {}).equal(3 * x));
  EXPECT_TRUE(module.forward(x, {.multiplier = 0.5}).equal(2 * x));
  EXPECT_TRUE(module.forward(x, {.multiplier = 0}).equal(x));
}

class Dropout : public testing::Test {
 protected:
  Dropout() : module_(64, {.layer_structure = {1, 1, 1}, .dropout = {0, 0.25, 0}}) {
    for (auto& layer : module_.layers) {
      layer.linear.weight = at::eye(64);
      layer.linear.bias = at::zeros({64});
    }
  }
  // net(1), whose dropped values are 0.
  at::Tensor kept(int64_t pictures, const HypernetworkDraws& draws, uint64_t place = 0) const {
    return module_.forward(at::ones({pictures, 50, 64}), {.draws = &draws, .place = place}) - 1;
  }
  HypernetworkModule module_;
};

TEST_F(Dropout, DropsAShareAndKeepsTheMean) {
  const at::Tensor values = kept(4, {7, 3, 0});
  EXPECT_NEAR(values.eq(0).to(at::kDouble).mean().item<double>(), 0.25, 0.02);
  EXPECT_NEAR(values.max().item<double>(), 4 / 3.0, 1e-6);
  EXPECT_NEAR(values.mean().item<double>(), 1, 0.03);
  // Neighbours are drawn apart: both dropped as often as chance has it.
  const at::Tensor gone = values.eq(0).to(at::kDouble).flatten();
  const double both = (gone.narrow(0, 1, gone.numel() - 1) * gone.narrow(0, 0, gone.numel() - 1))
                          .mean()
                          .item<double>();
  EXPECT_NEAR(both, 0.0625, 0.01);
}

TEST_F(Dropout, IsAFunctionOfSeedStepPlaceAndPicture) {
  const at::Tensor whole = kept(4, {7, 3, 0});
  EXPECT_TRUE(kept(4, {7, 3, 0}).equal(whole));
  EXPECT_TRUE(kept(2, {7, 3, 2}).equal(whole.narrow(0, 2, 2)));  // batches split otherwise
  EXPECT_FALSE(kept(4, {8, 3, 0}).equal(whole));
  EXPECT_FALSE(kept(4, {7, 4, 0}).equal(whole));
  EXPECT_FALSE(kept(4, {7, 3, 0}, 1).equal(whole));
  EXPECT_FALSE(whole[0].equal(whole[1]));
}

TEST_F(Dropout, IsOffWithoutDraws) {
  EXPECT_TRUE(module_.forward(at::ones({1, 5, 64}), {}).equal(2 * at::ones({1, 5, 64})));
}

class Attached : public testing::Test {
 protected:
  Attached() : unet_(small_unet_v1()) { initialise(unet_, 1); }

  at::Tensor forward(const UNet2DConditionModel& unet) const {
    return unet.forward(sample_, at::tensor({7}, at::kLong), text_);
  }

  UNet2DConditionModel unet_;
  at::Tensor sample_ = at::arange(4 * 8 * 8, at::kFloat).sin().view({1, 4, 8, 8});
  at::Tensor text_ = at::arange(5 * 24, at::kFloat).cos().view({1, 5, 24});
};

TEST_F(Attached, HasAPairForEveryWidthOfContext) {
  EXPECT_THAT(context_widths(unet_), ElementsAre(24, 32, 64));
  EXPECT_THAT(context_widths(UNet2DConditionModel(UNetConfig{})), ElementsAre(320, 640, 768, 1280));
}

TEST_F(Attached, ChangesTheModelByItsMultiplier) {
  const at::Tensor plain = forward(unet_);
  for (const int64_t width : {24, 32}) {  // text alone, pixels alone
    Hypernetwork hypernetwork({width}, {});
    draw_weights(hypernetwork, 1);
    UNet2DConditionModel changed = unet_;
    attach(changed, hypernetwork);
    EXPECT_GT((forward(changed) - plain).abs().max().item<double>(), 1e-5) << width;
    hypernetwork.multiplier = 0;
    EXPECT_TRUE(forward(changed).equal(plain));
  }
  EXPECT_TRUE(forward(unet_).equal(plain));
}

TEST_F(Attached, RefusesOneThatFitsNothing) {
  const Hypernetwork hypernetwork({777}, {});
  try {
    attach(unet_, hypernetwork);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("widths of 777, and the model has 24, 32, 64"));
  }
}

TEST_F(Attached, KeysAndValuesDropOutEachByThemselves) {
  Hypernetwork hypernetwork({24}, {.dropout = {0, 0.5, 0}});
  draw_weights(hypernetwork, 1);
  HypernetworkPair& pair = hypernetwork.pairs.at(24);
  pair.values = pair.keys;
  attach(unet_, hypernetwork);
  const Attention& attention = unet_.down_blocks[0].attentions[0].transformer_blocks[0].attn2;
  const KeyValueSources whole = attention.sources(text_);
  EXPECT_TRUE(whole.keys.equal(whole.values));
  hypernetwork.draws = {1, 2, 3};
  const KeyValueSources dropped = attention.sources(text_);
  EXPECT_FALSE(dropped.keys.equal(dropped.values));
}

TEST_F(Attached, LearnsTheSameWithCheckpointingBeneathAFrozenUNet) {
  const auto gradients = [&](bool checkpointing) {
    Hypernetwork hypernetwork(context_widths(unet_), {.dropout = {0, 0.5, 0}});
    draw_weights(hypernetwork, 1);
    visit_parameters(hypernetwork,
                     [](const std::string&, at::Tensor& p) { p.requires_grad_(true); });
    hypernetwork.draws = {1, 2, 3};
    UNet2DConditionModel unet = unet_;
    unet.gradient_checkpointing = checkpointing;
    attach(unet, hypernetwork);
    forward(unet).square().sum().backward();
    std::vector<at::Tensor> all;
    for (const auto& [name, p] : named_parameters(hypernetwork)) all.push_back(p.grad());
    return all;
  };
  const std::vector<at::Tensor> plain = gradients(false), again = gradients(true);
  ASSERT_EQ(plain.size(), 3 * 2 * 4);
  for (size_t i = 0; i < plain.size(); ++i) {
    ASSERT_TRUE(plain[i].defined() && again[i].defined()) << i;
    EXPECT_GT(plain[i].abs().max().item<double>(), 0) << i;
    EXPECT_TRUE(plain[i].equal(again[i])) << i;
  }
  visit_parameters(unet_, [](const std::string& name, at::Tensor& p) {
    EXPECT_FALSE(p.grad().defined()) << name;
  });
}

}  // namespace
}  // namespace sdtune
