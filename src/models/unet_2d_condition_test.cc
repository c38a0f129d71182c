#include "models/unet_2d_condition.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/random_init.h"
#include "models/small_models_for_test.h"

namespace sdtune {
namespace {

struct Count {
  int64_t tensors = 0;
  int64_t numbers = 0;
};

Count count_parameters(UNet2DConditionModel model) {
  Count count;
  for (auto& [name, p] : named_parameters(model)) {
    ++count.tensors;
    count.numbers += p.numel();
  }
  return count;
}

UNet2DConditionModel small_unet(const UNetConfig& config) {
  UNet2DConditionModel unet(config);
  initialise(unet, 11);
  return unet;
}

TEST(UNet, HasThePublishedNumberOfParameters) {
  const Count v1 = count_parameters(UNet2DConditionModel(UNetConfig{}));
  EXPECT_EQ(v1.tensors, 686);
  EXPECT_EQ(v1.numbers, 859520964);
  const Count v2 = count_parameters(UNet2DConditionModel(UNetConfig{
      .num_heads = {5, 10, 20, 20}, .cross_attention_dim = 1024, .use_linear_projection = true}));
  EXPECT_EQ(v2.tensors, 686);
  EXPECT_EQ(v2.numbers, 865910724);
}

TEST(UNet, ProjectionsAreConvolutionsInV1AndLinearInV2) {
  const auto dimensions = [](const UNetConfig& config) {
    UNet2DConditionModel unet(config);
    int64_t found = 0;
    visit_parameters(unet, [&](const std::string& name, at::Tensor& p) {
      if (name == "mid_block.attentions.0.proj_in.weight") found = p.dim();
    });
    return found;
  };
  EXPECT_EQ(dimensions(small_unet_v1()), 4);
  EXPECT_EQ(dimensions(small_unet_v2()), 2);
}

TEST(UNet, KeepsAnyLatentSize) {
  const UNet2DConditionModel unet = small_unet(small_unet_v2());
  const at::NoGradGuard off;
  for (const auto& [h, w] : {std::pair{8, 8}, {9, 13}, {1, 1}, {5, 2}}) {
    const at::Tensor out =
        unet.forward(at::ones({1, 4, h, w}), at::tensor({3}), at::ones({1, 4, 24}));
    EXPECT_EQ(out.sizes(), (std::vector<int64_t>{1, 4, h, w}));
    EXPECT_TRUE(out.isfinite().all().item<bool>());
  }
}

TEST(UNet, ComputesInTheTypeAskedForAndReturnsFp32) {
  UNet2DConditionModel unet = small_unet(small_unet_v2());
  const at::Tensor sample = at::linspace(-1, 1, 4 * 64).view({1, 4, 8, 8});
  const at::Tensor text = at::linspace(-1, 1, 96).view({1, 4, 24});
  const at::Tensor exact = unet.forward(sample, at::tensor({500}), text);
  unet.compute_dtype = at::kBFloat16;
  visit_parameters(unet, [](const std::string&, at::Tensor& p) { p.set_requires_grad(true); });
  const at::Tensor rounded = unet.forward(sample, at::tensor({500}), text);
  EXPECT_EQ(rounded.scalar_type(), at::kFloat);
  const float error = ((rounded - exact).norm() / exact.norm()).item<float>();
  EXPECT_GT(error, 0);
  EXPECT_LT(error, 0.05);

  rounded.sum().backward();
  EXPECT_EQ(unet.conv_in.weight.grad().scalar_type(), at::kFloat);
}

TEST(UNet, FollowsWeightsWithChannelsLastAndReturnsContiguous) {
  UNet2DConditionModel unet = small_unet(small_unet_v1());
  const at::Tensor sample = at::linspace(-1, 1, 4 * 64).view({1, 4, 8, 8});
  const at::Tensor text = at::linspace(-1, 1, 96).view({1, 4, 24});
  const at::Tensor plain = unet.forward(sample, at::tensor({500}), text);
  use_channels_last(unet);
  visit_parameters(unet, [](const std::string&, at::Tensor& p) { p.set_requires_grad(true); });
  const at::Tensor turned = unet.forward(sample, at::tensor({500}), text);
  EXPECT_TRUE(turned.is_contiguous());
  EXPECT_LT((turned - plain).abs().max().item<float>(), 1e-5 * plain.abs().max().item<float>());
  turned.sum().backward();
  EXPECT_TRUE(unet.conv_in.weight.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(unet.conv_in.weight.grad().is_contiguous(at::MemoryFormat::ChannelsLast));
}

TEST(TimestepEmbedding, PutsCosinesFirst) {
  const at::Tensor e = timestep_embedding(at::tensor({0, 250}), 4);
  EXPECT_TRUE(at::equal(e[0], at::tensor({1.0f, 1.0f, 0.0f, 0.0f})));
  // Frequencies 1 and 10000^(-1/2).
  const at::Tensor expected =
      at::tensor({std::cos(250.0), std::cos(2.5), std::sin(250.0), std::sin(2.5)});
  EXPECT_TRUE(at::allclose(e[1], expected.to(at::kFloat), 1e-5, 1e-5));
}

}  // namespace
}  // namespace sdtune
