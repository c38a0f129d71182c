#include "models/random_init.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/clip_text.h"
#include "models/small_models_for_test.h"
#include "models/unet_2d_condition.h"

namespace sdtune {
namespace {

TEST(RandomInit, IsAFunctionOfTheSeed) {
  UNet2DConditionModel a(small_unet_v1());
  UNet2DConditionModel b(small_unet_v1());
  UNet2DConditionModel c(small_unet_v1());
  initialise(a, 1);
  initialise(b, 1);
  initialise(c, 2);
  const NamedTensors all_a = named_parameters(a);
  const NamedTensors all_b = named_parameters(b);
  for (size_t i = 0; i < all_a.size(); ++i) {
    EXPECT_TRUE(at::equal(all_a[i].second, all_b[i].second)) << all_a[i].first;
  }
  EXPECT_FALSE(at::equal(a.conv_in.weight, c.conv_in.weight));
  EXPECT_FALSE(at::equal(a.mid_block.resnets[0].conv1.weight, a.mid_block.resnets[0].conv2.weight));
}

TEST(RandomInit, DrawsEachKindAsTorchDoes) {
  ClipTextModel clip(small_clip());
  initialise(clip, 1);
  const ClipLayer& layer = clip.layers[0];
  const double bound = 1 / std::sqrt(24.0);
  for (const at::Tensor& t : {layer.fc1.weight, layer.fc1.bias}) {
    EXPECT_LE(t.abs().max().item<double>(), bound);
    EXPECT_GT(t.abs().max().item<double>(), 0.9 * bound);
    EXPECT_NEAR(t.mean().item<double>(), 0, 0.2 * bound);
  }
  EXPECT_TRUE(at::equal(layer.layer_norm1.weight, at::ones({24})));
  EXPECT_TRUE(at::equal(layer.layer_norm1.bias, at::zeros({24})));
  EXPECT_NEAR(clip.token_embedding.weight.std().item<double>(), 0.02, 0.002);
}

TEST(RandomInit, TheTimeMlpIsNoEmbeddingTable) {
  UNet2DConditionModel unet(small_unet_v1());
  initialise(unet, 1);
  EXPECT_GT(unet.time_embedding.linear_1.weight.abs().max().item<double>(), 0.9 / std::sqrt(32.0));
}

}  // namespace
}  // namespace sdtune
