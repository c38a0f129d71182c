#include "models/family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Names and shapes without a file behind them.
class ListedWeights final : public WeightFile {
 public:
  explicit ListedWeights(std::vector<TensorInfo> tensors) {
    path_ = "model.safetensors";
    tensors_ = std::move(tensors);
    index();
  }

 private:
  void copy(size_t, uint64_t, std::span<std::byte>) const override {
    throw Error("nothing to read");
  }
};

void add_ldm(std::vector<TensorInfo>& tensors, const std::vector<WeightName>& weights) {
  for (const auto& weight : weights) {
    if (weight.part == 0) tensors.push_back({weight.ldm, DType::kF16, weight.ldm_shape});
  }
}

std::vector<TensorInfo> v1_tensors() {
  std::vector<TensorInfo> tensors;
  add_ldm(tensors, unet_weight_names(UNetConfig{}));
  add_ldm(tensors, vae_weight_names(VaeConfig{}));
  add_ldm(tensors, text_weight_names(ClipTextConfig{}, ModelFamily::kV1));
  return tensors;
}

std::vector<TensorInfo> v2_tensors() {
  UNetConfig unet;
  unet.cross_attention_dim = 1024;
  unet.use_linear_projection = true;
  ClipTextConfig text;
  text.hidden_size = 1024;
  text.intermediate_size = 4096;
  text.num_hidden_layers = 24;
  std::vector<TensorInfo> tensors;
  add_ldm(tensors, unet_weight_names(unet));
  add_ldm(tensors, vae_weight_names(VaeConfig{}));
  add_ldm(tensors, text_weight_names(text, ModelFamily::kV2));
  return tensors;
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return std::string(error.what()) + " | " + error.where() + " | " + error.hint();
  }
  return "no error";
}

TEST(Family, ReadsStableDiffusion1) {
  const ListedWeights file(v1_tensors());
  ASSERT_EQ(family_of_single_file(file), ModelFamily::kV1);
  const UNetConfig unet = infer_unet_config(file, ModelFamily::kV1, PredictionType::kEpsilon);
  EXPECT_THAT(unet.block_out_channels, ElementsAre(320, 640, 1280, 1280));
  EXPECT_THAT(unet.down_attention, ElementsAre(true, true, true, false));
  EXPECT_THAT(unet.num_heads, ElementsAre(8, 8, 8, 8));
  EXPECT_EQ(unet.layers_per_block, 2);
  EXPECT_EQ(unet.cross_attention_dim, 768);
  EXPECT_FALSE(unet.use_linear_projection);
  EXPECT_FALSE(unet.upcast_attention);
  const ClipTextConfig text = infer_text_config(file, ModelFamily::kV1);
  EXPECT_EQ(text.num_hidden_layers, 12);
  EXPECT_EQ(text.num_attention_heads, 12);
  EXPECT_EQ(text.intermediate_size, 3072);
  EXPECT_EQ(text.hidden_act, "quick_gelu");
  const auto naming = find_vae(file);
  ASSERT_TRUE(naming);
  const VaeConfig vae = infer_vae_config(file, *naming);
  EXPECT_THAT(vae.block_out_channels, ElementsAre(128, 256, 512, 512));
  EXPECT_EQ(vae.layers_per_block, 2);
  EXPECT_EQ(vae.latent_channels, 4);
}

TEST(Family, ReadsStableDiffusion2AndLeavesOutTheLastBlock) {
  const ListedWeights file(v2_tensors());
  ASSERT_EQ(family_of_single_file(file), ModelFamily::kV2);
  const UNetConfig unet = infer_unet_config(file, ModelFamily::kV2, PredictionType::kV);
  EXPECT_THAT(unet.num_heads, ElementsAre(5, 10, 20, 20));
  EXPECT_TRUE(unet.use_linear_projection);
  EXPECT_TRUE(unet.upcast_attention);
  EXPECT_EQ(unet.sample_size, 96);
  const ClipTextConfig text = infer_text_config(file, ModelFamily::kV2);
  EXPECT_EQ(text.num_hidden_layers, 23);
  EXPECT_EQ(text.num_attention_heads, 16);
  EXPECT_EQ(text.hidden_act, "gelu");
}

TEST(Family, RefusesOtherFamilies) {
  const ListedWeights xl({{"conditioner.embedders.0.transformer.x", DType::kF16, {1}}});
  EXPECT_THAT(error_of([&] { family_of_single_file(xl); }), HasSubstr("SDXL is not supported"));
  const ListedWeights lora({{"lora_unet_x.lora_up.weight", DType::kF16, {1, 1}}});
  EXPECT_THAT(error_of([&] { family_of_single_file(lora); }),
              HasSubstr("no Stable Diffusion 1.x or 2.x"));
}

TEST(Family, SaysWhichV2FlagIsRight) {
  EXPECT_THAT(error_of([] { check_v2_flag("m", ModelFamily::kV2, false); }), HasSubstr("Add --v2"));
  EXPECT_THAT(error_of([] { check_v2_flag("m", ModelFamily::kV1, true); }),
              HasSubstr("Leave --v2 out"));
  EXPECT_NO_THROW(check_v2_flag("m", ModelFamily::kV1, false));
  EXPECT_NO_THROW(check_v2_flag("m", ModelFamily::kV2, true));
  EXPECT_NO_THROW(check_v2_flag("m", ModelFamily::kV2, std::nullopt));
}

TEST(Family, HoldsThePredictionFlagAgainstWhatTheFileSaysAlone) {
  const auto v = PredictionType::kV;
  const auto epsilon = PredictionType::kEpsilon;
  EXPECT_EQ(check_v_parameterization_flag("m", std::nullopt, true), v);
  EXPECT_EQ(check_v_parameterization_flag("m", std::nullopt, false), epsilon);
  EXPECT_EQ(check_v_parameterization_flag("m", v, true), v);
  EXPECT_EQ(check_v_parameterization_flag("m", v, std::nullopt), v);
  EXPECT_EQ(check_v_parameterization_flag("m", std::nullopt, std::nullopt), epsilon);
  EXPECT_THAT(error_of([&] { check_v_parameterization_flag("m", v, false); }),
              HasSubstr("Add --v_parameterization"));
  EXPECT_THAT(error_of([&] { check_v_parameterization_flag("m", epsilon, true); }),
              HasSubstr("Leave --v_parameterization out"));
  EXPECT_EQ(parse_prediction_type("v"), v);
  EXPECT_EQ(parse_prediction_type("v_prediction"), v);
  EXPECT_EQ(parse_prediction_type("sample"), std::nullopt);
}

TEST(Family, RefusesInpaintingModelsByName) {
  EXPECT_THAT(error_of([] { check_input_channels("m", 9); }), HasSubstr("inpainting"));
  EXPECT_NO_THROW(check_input_channels("m", 4));
}

TEST(Family, RefusesSizesThatTheFamilyDoesNotHave) {
  UNetConfig odd;
  odd.block_out_channels = {32, 96, 96, 96};
  odd.use_linear_projection = true;
  std::vector<TensorInfo> tensors;
  add_ldm(tensors, unet_weight_names(odd));
  const ListedWeights file(tensors);
  EXPECT_THAT(error_of([&] { infer_unet_config(file, ModelFamily::kV2, PredictionType::kV); }),
              HasSubstr("heads of size 64"));
  EXPECT_THAT(infer_unet_config(file, ModelFamily::kV1, PredictionType::kV).block_out_channels,
              ElementsAre(32, 96, 96, 96));
}

TEST(Family, NamesAMissingOrMisshapenTensor) {
  auto tensors = v1_tensors();
  for (auto& tensor : tensors) {
    if (tensor.name.ends_with("token_embedding.weight")) tensor.shape = {49408};
  }
  std::erase_if(tensors,
                [](const TensorInfo& t) { return t.name == "model.diffusion_model.out.2.weight"; });
  const ListedWeights file(tensors);
  EXPECT_THAT(error_of([&] { infer_text_config(file, ModelFamily::kV1); }),
              HasSubstr("token_embedding.weight\" has shape [49408]"));
  EXPECT_THAT(error_of([&] { infer_unet_config(file, ModelFamily::kV1, PredictionType::kV); }),
              HasSubstr("model.diffusion_model.out.2.weight"));
}

TEST(Family, FindsVaesOfTheirOwn) {
  std::vector<TensorInfo> bare, diffusers;
  for (const auto& weight : vae_weight_names(VaeConfig{})) {
    bare.push_back({weight.ldm.substr(kVaePrefix.size()), DType::kF32, weight.ldm_shape});
    diffusers.push_back({weight.name, DType::kF32, weight.shape});
  }
  for (const auto& tensors : {bare, diffusers}) {
    const ListedWeights file(tensors);
    const auto naming = find_vae(file);
    ASSERT_TRUE(naming);
    EXPECT_THAT(infer_vae_config(file, *naming).block_out_channels,
                ElementsAre(128, 256, 512, 512));
  }
  EXPECT_FALSE(find_vae(ListedWeights({})));
}

TEST(Family, KnowsWhatASingleFileCannotTell) {
  UNetConfig unet;
  const VaeConfig vae;
  const ClipTextConfig text;
  EXPECT_NO_THROW(check_single_file_can_tell("m", {ModelFamily::kV1, unet, vae, text}));
  unet.num_heads = {8, 8, 8, 4};
  EXPECT_THAT(error_of([&] {
                check_single_file_can_tell("m", {ModelFamily::kV1, unet, vae, text});
              }),
              HasSubstr("8 heads"));
}

}  // namespace
}  // namespace sdtune
