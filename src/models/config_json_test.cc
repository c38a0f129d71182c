#include "models/config_json.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace sdtune {
namespace {

// The files that Stable Diffusion 1.5 and 2.1 are published with.
constexpr char kUNet15[] = R"({
  "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.6.0", "act_fn": "silu",
  "attention_head_dim": 8, "block_out_channels": [320, 640, 1280, 1280],
  "center_input_sample": false, "cross_attention_dim": 768,
  "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
  "DownBlock2D"], "downsample_padding": 1, "flip_sin_to_cos": true, "freq_shift": 0,
  "in_channels": 4, "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-05,
  "norm_num_groups": 32, "out_channels": 4, "sample_size": 64, "up_block_types": ["UpBlock2D",
  "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]})";
constexpr char kUNet21[] = R"({
  "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.10.0.dev0", "act_fn": "silu",
  "attention_head_dim": [5, 10, 20, 20], "block_out_channels": [320, 640, 1280, 1280],
  "center_input_sample": false, "cross_attention_dim": 1024,
  "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
  "DownBlock2D"], "downsample_padding": 1, "dual_cross_attention": false,
  "flip_sin_to_cos": true, "freq_shift": 0, "in_channels": 4, "layers_per_block": 2,
  "mid_block_scale_factor": 1, "norm_eps": 1e-05, "norm_num_groups": 32,
  "num_class_embeds": null, "only_cross_attention": false, "out_channels": 4, "sample_size": 96,
  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D",
  "CrossAttnUpBlock2D"], "use_linear_projection": true, "upcast_attention": true})";
constexpr char kVae[] = R"({
  "_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": [128, 256, 512, 512],
  "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
  "DownEncoderBlock2D"], "in_channels": 3, "latent_channels": 4, "layers_per_block": 2,
  "norm_num_groups": 32, "out_channels": 3, "sample_size": 768,
  "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D",
  "UpDecoderBlock2D"]})";
constexpr char kText21[] = R"({
  "architectures": ["CLIPTextModel"], "attention_dropout": 0.0, "bos_token_id": 0,
  "dropout": 0.0, "eos_token_id": 2, "hidden_act": "gelu", "hidden_size": 1024,
  "initializer_factor": 1.0, "initializer_range": 0.02, "intermediate_size": 4096,
  "layer_norm_eps": 1e-05, "max_position_embeddings": 77, "model_type": "clip_text_model",
  "num_attention_heads": 16, "num_hidden_layers": 23, "pad_token_id": 1, "projection_dim": 512,
  "torch_dtype": "float32", "transformers_version": "4.25.0.dev0", "vocab_size": 49408})";

// `text` with `key` set to `value`, in front so that it is the only one of that name where it was
// absent.
std::string with(const std::string& text, const std::string& key, const std::string& value) {
  const size_t at = text.find("\"" + key + "\":");
  if (at == std::string::npos) return "{\"" + key + "\": " + value + "," + text.substr(1);
  const size_t begin = at + key.size() + 3;
  const size_t bracket = text.find_first_not_of(" ", begin);
  const size_t end =
      text[bracket] == '[' ? text.find(']', begin) + 1 : text.find_first_of(",}", begin);
  return text.substr(0, begin) + value + text.substr(end);
}

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return std::string(e.what()) + " | " + e.where();
  }
  return "no error";
}

TEST(ConfigJson, ReadsStableDiffusion15) {
  const UNetConfig c = parse_unet_config(kUNet15, "unet/config.json");
  EXPECT_EQ(c.block_out_channels, (std::vector<int64_t>{320, 640, 1280, 1280}));
  EXPECT_EQ(c.num_heads, (std::vector<int64_t>{8, 8, 8, 8}));
  EXPECT_EQ(c.down_attention, (std::vector<bool>{true, true, true, false}));
  EXPECT_EQ(c.cross_attention_dim, 768);
  EXPECT_EQ(c.sample_size, 64);
  EXPECT_FALSE(c.use_linear_projection);
  EXPECT_FALSE(c.upcast_attention);
}

TEST(ConfigJson, ReadsStableDiffusion21) {
  const UNetConfig c = parse_unet_config(kUNet21, "unet/config.json");
  EXPECT_EQ(c.num_heads, (std::vector<int64_t>{5, 10, 20, 20}));
  EXPECT_EQ(c.cross_attention_dim, 1024);
  EXPECT_EQ(c.sample_size, 96);
  EXPECT_TRUE(c.use_linear_projection);
  EXPECT_TRUE(c.upcast_attention);

  const VaeConfig vae = parse_vae_config(kVae, "vae/config.json");
  EXPECT_EQ(vae.block_out_channels, (std::vector<int64_t>{128, 256, 512, 512}));
  EXPECT_EQ(vae.sample_size, 768);
  EXPECT_DOUBLE_EQ(vae.scaling_factor, 0.18215);

  const ClipTextConfig text = parse_clip_text_config(kText21, "text_encoder/config.json");
  EXPECT_EQ(text.hidden_size, 1024);
  EXPECT_EQ(text.num_hidden_layers, 23);
  EXPECT_EQ(text.num_attention_heads, 16);
  EXPECT_EQ(text.hidden_act, "gelu");
}

TEST(ConfigJson, WhatIsWrittenIsReadBack) {
  for (const char* text : {kUNet15, kUNet21}) {
    const std::string written = unet_config_json(parse_unet_config(text, ""));
    EXPECT_EQ(unet_config_json(parse_unet_config(written, "")), written);
    EXPECT_EQ(parse_unet_config(written, "").num_heads, parse_unet_config(text, "").num_heads);
    EXPECT_EQ(written.back(), '\n');
  }
  const std::string vae = vae_config_json(parse_vae_config(kVae, ""));
  EXPECT_EQ(vae_config_json(parse_vae_config(vae, "")), vae);
  const std::string clip = clip_text_config_json(parse_clip_text_config(kText21, ""));
  EXPECT_EQ(clip_text_config_json(parse_clip_text_config(clip, "")), clip);
  EXPECT_NE(clip.find("\"hidden_size\": 1024"), std::string::npos);
}

struct Refusal {
  const char* key;
  const char* value;
};

TEST(ConfigJson, RefusesUNetsOfOtherKindsByKeyAndValue) {
  const Refusal refusals[] = {
      {"_class_name", "\"UNet2DModel\""},
      {"down_block_types", "[\"SimpleCrossAttnDownBlock2D\"]"},
      {"down_block_types", "[\"DownBlock2D\"]"},
      {"down_block_types", "7"},
      {"up_block_types", "[\"UpBlock2D\", \"UpBlock2D\", \"UpBlock2D\", \"UpBlock2D\"]"},
      {"mid_block_type", "\"UNetMidBlock2D\""},
      {"class_embed_type", "\"timestep\""},
      {"num_class_embeds", "1000"},
      {"addition_embed_type", "\"text_time\""},
      {"encoder_hid_dim", "512"},
      {"resnet_time_scale_shift", "\"scale_shift\""},
      {"time_embedding_type", "\"fourier\""},
      {"time_cond_proj_dim", "256"},
      {"transformer_layers_per_block", "[1, 2, 10, 10]"},
      {"num_attention_heads", "8"},
      {"act_fn", "\"gelu\""},
      {"flip_sin_to_cos", "false"},
      {"center_input_sample", "true"},
      {"only_cross_attention", "true"},
      {"conv_in_kernel", "5"},
      {"attention_head_dim", "7"},
      {"attention_head_dim", "[5, 10]"},
      {"block_out_channels", "[320, 640, 1280, 1290]"},
      {"block_out_channels", "[]"},
      {"block_out_channels", "[320, -640, 1280, 1280]"},
      {"block_out_channels", "[1e300]"},
      {"cross_attention_dim", "[768]"},
      {"cross_attention_dim", "0"},
      {"cross_attention_dim", "99999999999"},
      {"layers_per_block", "[2, 2, 2, 2]"},
      {"norm_eps", "\"small\""},
      {"norm_eps", "-1"},
      {"use_linear_projection", "1"},
  };
  for (const auto& [key, value] : refusals) {
    const std::string text = with(kUNet15, key, value);
    const std::string message = message_of([&] { parse_unet_config(text, "unet/config.json"); });
    EXPECT_NE(message.find(std::string("\"") + key + "\" is "), std::string::npos)
        << value << ": " << message;
    EXPECT_NE(message.find("unet/config.json"), std::string::npos) << message;
  }
}

TEST(ConfigJson, RefusesOtherVaesAndTextEncoders) {
  for (const auto& [key, value] : {Refusal{"latents_mean", "[0.1]"},
                                   {"use_quant_conv", "false"},
                                   {"up_block_types", "[\"AttnUpDecoderBlock2D\"]"},
                                   {"norm_num_groups", "24"}}) {
    EXPECT_THROW(parse_vae_config(with(kVae, key, value), ""), Error) << key;
  }
  for (const auto& [key, value] : {Refusal{"model_type", "\"clip\""},
                                   {"hidden_act", "\"relu\""},
                                   {"num_attention_heads", "5"},
                                   {"layer_norm_eps", "0"}}) {
    EXPECT_THROW(parse_clip_text_config(with(kText21, key, value), ""), Error) << key;
  }
}

TEST(ConfigJson, IgnoresKeysThatChangeNothing) {
  const std::string text = with(with(kUNet15, "encoder_hid_dim", "null"), "_name_or_path", "\"x\"");
  EXPECT_EQ(parse_unet_config(text, "").cross_attention_dim, 768);
  EXPECT_EQ(parse_unet_config(with(kUNet15, "transformer_layers_per_block", "[1, 1, 1, 1]"), "")
                .in_channels,
            4);
}

TEST(ConfigJson, RefusesWhatIsNoConfiguration) {
  for (const char* text : {"", "[]", "{", "null", "\xff", "{\"a\": 1} x"}) {
    EXPECT_THROW(parse_unet_config(text, "f"), Error) << text;
  }
  EXPECT_THROW(read_unet_config("/nonexistent/config.json"), Error);
}

TEST(ConfigJson, MissingKeysHaveTheLibrariesDefaults) {
  EXPECT_EQ(parse_unet_config("{}", "").cross_attention_dim, 1280);
  EXPECT_EQ(parse_vae_config("{}", "").block_out_channels, (std::vector<int64_t>{64}));
  EXPECT_EQ(parse_clip_text_config("{}", "").hidden_size, 512);
}

}  // namespace
}  // namespace sdtune
