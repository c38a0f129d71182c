#include "models/ldm_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <algorithm>
#include <map>
#include <set>

#include "models/autoencoder_kl.h"
#include "models/clip_text.h"
#include "models/unet_2d_condition.h"

namespace sdtune {
namespace {

using testing::ElementsAre;

std::map<std::string, WeightName> by_name(const std::vector<WeightName>& weights) {
  std::map<std::string, WeightName> map;
  for (const auto& weight : weights) map.emplace(weight.name, weight);
  return map;
}

using Shapes = std::map<std::string, std::vector<int64_t>>;

Shapes shapes_of(const std::vector<WeightName>& weights) {
  Shapes shapes;
  for (const auto& weight : weights) shapes[weight.name] = weight.shape;
  return shapes;
}

template <class Model>
Shapes shapes_of_model(Model model) {
  Shapes shapes;
  visit_parameters(model,
                   [&](const std::string& name, at::Tensor& p) { shapes[name] = p.sizes().vec(); });
  return shapes;
}

RC_GTEST_PROP(LdmNames, UNetTableNamesEveryParameterOfTheModel, ()) {
  UNetConfig config;
  const int64_t levels = *rc::gen::inRange<int64_t>(1, 6);
  config.layers_per_block = *rc::gen::inRange<int64_t>(1, 4);
  config.use_linear_projection = *rc::gen::arbitrary<bool>();
  config.block_out_channels.clear();
  config.down_attention.clear();
  config.num_heads.assign(levels, 8);
  for (int64_t i = 0; i < levels; ++i) {
    config.block_out_channels.push_back(32 * *rc::gen::inRange<int64_t>(1, 4));
    config.down_attention.push_back(*rc::gen::arbitrary<bool>());
  }
  const auto table = unet_weight_names(config);
  RC_ASSERT(shapes_of(table) == shapes_of_model(UNet2DConditionModel(config)));
  std::set<std::string> ldm;
  for (const auto& weight : table) RC_ASSERT(ldm.insert(weight.ldm).second);
}

RC_GTEST_PROP(LdmNames, VaeTableNamesEveryParameterOfTheModel, ()) {
  VaeConfig config;
  config.layers_per_block = *rc::gen::inRange<int64_t>(1, 4);
  config.block_out_channels.clear();
  const int64_t levels = *rc::gen::inRange<int64_t>(1, 6);
  for (int64_t i = 0; i < levels; ++i) {
    config.block_out_channels.push_back(32 * *rc::gen::inRange<int64_t>(1, 4));
  }
  RC_ASSERT(shapes_of(vae_weight_names(config)) == shapes_of_model(AutoencoderKL(config)));
}

TEST(LdmNames, TextTableNamesEveryParameterOfTheModel) {
  ClipTextConfig config;
  config.num_hidden_layers = 3;
  const auto model = shapes_of_model(ClipTextModel(config));
  EXPECT_EQ(shapes_of(text_weight_names(config, ModelFamily::kV1)), model);
  EXPECT_EQ(shapes_of(text_weight_names(config, ModelFamily::kV2)), model);
}

// Pairs read off the published SD 1.5 checkpoint and its Diffusers folder.
TEST(LdmNames, FullSizedUNetHasThePublishedNames) {
  const auto names = by_name(unet_weight_names(UNetConfig{}));
  EXPECT_EQ(names.size(), 686u);
  const std::string p = "model.diffusion_model.";
  EXPECT_EQ(names.at("time_embedding.linear_2.bias").ldm, p + "time_embed.2.bias");
  EXPECT_EQ(names.at("down_blocks.1.resnets.0.conv_shortcut.weight").ldm,
            p + "input_blocks.4.0.skip_connection.weight");
  EXPECT_EQ(names.at("down_blocks.2.downsamplers.0.conv.weight").ldm,
            p + "input_blocks.9.0.op.weight");
  EXPECT_EQ(names.at("down_blocks.3.resnets.1.time_emb_proj.weight").ldm,
            p + "input_blocks.11.0.emb_layers.1.weight");
  EXPECT_EQ(names.at("mid_block.attentions.0.proj_in.weight").ldm,
            p + "middle_block.1.proj_in.weight");
  EXPECT_EQ(names.at("up_blocks.0.upsamplers.0.conv.bias").ldm, p + "output_blocks.2.1.conv.bias");
  EXPECT_EQ(names.at("up_blocks.1.upsamplers.0.conv.bias").ldm, p + "output_blocks.5.2.conv.bias");
  EXPECT_EQ(names.at("up_blocks.3.attentions.2.transformer_blocks.0.ff.net.0.proj.weight").ldm,
            p + "output_blocks.11.1.transformer_blocks.0.ff.net.0.proj.weight");
  const auto& widest = names.at("up_blocks.1.resnets.2.conv1.weight");
  EXPECT_EQ(widest.ldm, p + "output_blocks.5.0.in_layers.2.weight");
  EXPECT_THAT(widest.shape, ElementsAre(1280, 1920, 3, 3));
}

TEST(LdmNames, VaeAttentionIsAConvolutionInSingleFilesAndHadOtherNames) {
  const auto table = vae_weight_names(VaeConfig{});
  EXPECT_EQ(table.size(), 248u);
  const auto names = by_name(table);
  const auto& query = names.at("encoder.mid_block.attentions.0.to_q.weight");
  EXPECT_EQ(query.ldm, "first_stage_model.encoder.mid.attn_1.q.weight");
  EXPECT_EQ(query.old_name, "encoder.mid_block.attentions.0.query.weight");
  EXPECT_THAT(query.shape, ElementsAre(512, 512));
  EXPECT_THAT(query.ldm_shape, ElementsAre(512, 512, 1, 1));
  EXPECT_EQ(names.at("decoder.up_blocks.0.resnets.2.norm1.weight").ldm,
            "first_stage_model.decoder.up.3.block.2.norm1.weight");
  EXPECT_EQ(names.at("decoder.up_blocks.2.upsamplers.0.conv.weight").ldm,
            "first_stage_model.decoder.up.1.upsample.conv.weight");
}

TEST(LdmNames, ClipHasTransformersNamesAndOnceHadNoTextModel) {
  const auto table = text_weight_names(ClipTextConfig{}, ModelFamily::kV1);
  EXPECT_EQ(table.size(), 196u);
  const auto names = by_name(table);
  const auto& weight = names.at("text_model.encoder.layers.11.mlp.fc1.weight");
  EXPECT_EQ(weight.ldm, "cond_stage_model.transformer.text_model.encoder.layers.11.mlp.fc1.weight");
  EXPECT_EQ(weight.old_ldm, "cond_stage_model.transformer.encoder.layers.11.mlp.fc1.weight");
  EXPECT_EQ(weight.parts, 1);
}

TEST(LdmNames, OpenClipJoinsQueryKeyAndValue) {
  ClipTextConfig config;
  config.hidden_size = 1024;
  config.num_hidden_layers = 23;
  const auto names = by_name(text_weight_names(config, ModelFamily::kV2));
  const auto& value = names.at("text_model.encoder.layers.22.self_attn.v_proj.weight");
  EXPECT_EQ(value.ldm, "cond_stage_model.model.transformer.resblocks.22.attn.in_proj_weight");
  EXPECT_EQ(value.part, 2);
  EXPECT_EQ(value.parts, 3);
  EXPECT_THAT(value.ldm_shape, ElementsAre(3072, 1024));
  EXPECT_EQ(names.at("text_model.final_layer_norm.bias").ldm,
            "cond_stage_model.model.ln_final.bias");
  EXPECT_EQ(names.at("text_model.embeddings.position_embedding.weight").ldm,
            "cond_stage_model.model.positional_embedding");
}

TEST(LdmNames, ShapesMayDifferByOnesAtTheEndAlone) {
  EXPECT_TRUE(same_up_to_trailing_ones({4, 8}, {4, 8, 1, 1}));
  EXPECT_TRUE(same_up_to_trailing_ones({4, 8, 1, 1}, {4, 8}));
  EXPECT_FALSE(same_up_to_trailing_ones({4, 8, 3, 3}, {4, 8}));
  EXPECT_FALSE(same_up_to_trailing_ones({8, 4}, {4, 8, 1, 1}));
}

}  // namespace
}  // namespace sdtune
