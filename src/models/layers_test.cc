#include "models/layers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "models/random_init.h"

namespace sdtune {
namespace {

TEST(Layers, KnowTheirShapesBeforeTheyAreLoaded) {
  Conv2d conv({.in_channels = 3, .out_channels = 5, .kernel = 1});
  const NamedTensors parameters = named_parameters(conv);
  ASSERT_EQ(parameters.size(), 2u);
  EXPECT_EQ(parameters[0].first, "weight");
  EXPECT_EQ(parameters[0].second.sizes(), (std::vector<int64_t>{5, 3, 1, 1}));
  EXPECT_TRUE(parameters[0].second.is_meta());
  EXPECT_EQ(parameters[1].second.sizes(), (std::vector<int64_t>{5}));
}

TEST(Layers, LinearWithoutBiasHasOneParameter) {
  Linear linear(3, 5, false);
  EXPECT_EQ(named_parameters(linear).size(), 1u);
  initialise(linear, 1);
  EXPECT_TRUE(at::equal(linear.forward(at::eye(3)), linear.weight.t()));
}

TEST(Layers, FollowTheInputsType) {
  Linear linear(8, 8);
  Conv2d conv({.in_channels = 8, .out_channels = 8});
  GroupNorm group(2, 8, 1e-5);
  LayerNorm layer(8);
  initialise(linear, 1);
  initialise(conv, 1);
  initialise(group, 1);
  initialise(layer, 1);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor image = at::ones({1, 8, 4, 4}, type);
    EXPECT_EQ(linear.forward(at::ones({2, 8}, type)).scalar_type(), type);
    EXPECT_EQ(layer.forward(at::ones({2, 8}, type)).scalar_type(), type);
    EXPECT_EQ(conv.forward(image).scalar_type(), type);
    EXPECT_EQ(group.forward(image).scalar_type(), type);
    EXPECT_EQ(group.forward_silu(image).scalar_type(), type);
  }
}

TEST(Layers, EmbeddingLooksUpRows) {
  Embedding embedding(4, 2);
  embedding.weight = at::arange(8).to(at::kFloat).view({4, 2});
  const at::Tensor rows = embedding.forward(at::tensor({3, 0}));
  EXPECT_TRUE(at::equal(rows, at::tensor({6.0f, 7.0f, 0.0f, 1.0f}).view({2, 2})));
}

}  // namespace
}  // namespace sdtune
