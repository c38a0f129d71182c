#include "models/config_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/files.h"
#include "models/config_reader.h"

namespace sdtune {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxFileBytes = 1 << 20;
constexpr char kHint[] = "Only models built like Stable Diffusion 1.x and 2.x can be used.";
constexpr int64_t kMaxChannels = 1 << 16;
constexpr int64_t kMaxLayers = 256;
constexpr int64_t kMaxRows = 1 << 24;  // of embedding tables, and of pictures' sides
// The releases whose files these are, for the libraries' own bookkeeping.
constexpr char kDiffusersVersion[] = "0.32.1";
constexpr char kTransformersVersion[] = "4.54.1";

// Every channel count must be a multiple of the groups that normalise it.
void check_groups(const ConfigReader& in, const std::vector<int64_t>& channels, int64_t groups) {
  for (const int64_t c : channels) {
    if (c % groups != 0) {
      in.refuse("block_out_channels", fmt::format("multiples of norm_num_groups ({})", groups));
    }
  }
}

void check_unet_extras(const ConfigReader& in) {
  const std::initializer_list<std::pair<const char*, Json>> fixed = {
      {"mid_block_type", "UNetMidBlock2DCrossAttn"},
      {"act_fn", "silu"},
      {"resnet_time_scale_shift", "default"},
      {"time_embedding_type", "positional"},
      {"attention_type", "default"},
      {"center_input_sample", false},
      {"flip_sin_to_cos", true},
      {"freq_shift", 0},
      {"downsample_padding", 1},
      {"mid_block_scale_factor", 1},
      {"dropout", 0},
      {"resnet_skip_time_act", false},
      {"resnet_out_scale_factor", 1},
      {"conv_in_kernel", 3},
      {"conv_out_kernel", 3},
      {"only_cross_attention", false},
      {"mid_block_only_cross_attention", false},
      {"dual_cross_attention", false},
      {"class_embeddings_concat", false},
  };
  for (const auto& [key, value] : fixed) in.only(key, value);
  for (const char* key :
       {"class_embed_type", "num_class_embeds", "projection_class_embeddings_input_dim",
        "addition_embed_type", "addition_time_embed_dim", "encoder_hid_dim", "encoder_hid_dim_type",
        "time_embedding_dim", "time_embedding_act_fn", "timestep_post_act", "time_cond_proj_dim",
        "cross_attention_norm", "num_attention_heads", "reverse_transformer_layers_per_block"}) {
    in.only(key, nullptr);
  }
}

void read_unet_blocks(const ConfigReader& in, UNetConfig& config) {
  const size_t levels = config.block_out_channels.size();
  const std::string cross = "CrossAttnDownBlock2D";
  const std::vector<std::string> down = in.words(
      "down_block_types", {cross, cross, cross, "DownBlock2D"}, levels, {cross, "DownBlock2D"});
  config.down_attention.clear();
  std::vector<std::string> mirrored;
  for (const std::string& type : down) {
    config.down_attention.push_back(type == cross);
    mirrored.insert(mirrored.begin(), type == cross ? "CrossAttnUpBlock2D" : "UpBlock2D");
  }
  const std::vector<std::string> up =
      in.words("up_block_types", mirrored, levels, {"CrossAttnUpBlock2D", "UpBlock2D"});
  if (up != mirrored) in.refuse("up_block_types", "the mirror image of down_block_types");
}

Json common_head_count(const std::vector<int64_t>& heads) {
  const bool same =
      std::all_of(heads.begin(), heads.end(), [&](int64_t h) { return h == heads[0]; });
  return same ? Json(heads[0]) : Json(heads);
}

std::string finished(const Json& json) { return json.dump(2) + "\n"; }

}  // namespace

UNetConfig parse_unet_config(const std::string& text, const std::string& where) {
  const ConfigReader in(text, where, kHint);
  in.only("_class_name", "UNet2DConditionModel");
  check_unet_extras(in);
  UNetConfig config;
  config.in_channels = in.integer("in_channels", 4, kMaxChannels);
  config.out_channels = in.integer("out_channels", 4, kMaxChannels);
  config.block_out_channels =
      in.integers("block_out_channels", {320, 640, 1280, 1280}, kMaxChannels);
  const size_t levels = config.block_out_channels.size();
  read_unet_blocks(in, config);
  config.layers_per_block = in.integer("layers_per_block", 2, kMaxLayers);
  // Diffusers' name says the width of a head; in Stable Diffusion's files it is their number.
  config.num_heads = in.per_level("attention_head_dim", 8, levels, kMaxChannels);
  config.cross_attention_dim = in.integer("cross_attention_dim", 1280, kMaxChannels);
  config.use_linear_projection = in.boolean("use_linear_projection", false);
  config.upcast_attention = in.boolean("upcast_attention", false);
  config.norm_num_groups = in.integer("norm_num_groups", 32, kMaxChannels);
  config.norm_eps = in.positive("norm_eps", 1e-5);
  config.sample_size = in.integer("sample_size", 64, kMaxRows);

  for (const int64_t layers : in.per_level("transformer_layers_per_block", 1, levels, kMaxLayers)) {
    if (layers != 1) in.refuse("transformer_layers_per_block", "1");
  }
  check_groups(in, config.block_out_channels, config.norm_num_groups);
  for (size_t i = 0; i < levels; ++i) {
    if (config.block_out_channels[i] % config.num_heads[i] != 0) {
      in.refuse("attention_head_dim", "head counts that divide block_out_channels");
    }
  }
  if (config.block_out_channels[0] % 2 != 0)
    in.refuse("block_out_channels", "an even number first");
  return config;
}

VaeConfig parse_vae_config(const std::string& text, const std::string& where) {
  const ConfigReader in(text, where, kHint);
  in.only("_class_name", "AutoencoderKL");
  in.only("act_fn", "silu");
  for (const char* key : {"use_quant_conv", "use_post_quant_conv", "mid_block_add_attention"}) {
    in.only(key, true);
  }
  for (const char* key : {"shift_factor", "latents_mean", "latents_std"}) in.only(key, nullptr);
  VaeConfig config;
  config.in_channels = in.integer("in_channels", 3, kMaxChannels);
  config.out_channels = in.integer("out_channels", 3, kMaxChannels);
  config.latent_channels = in.integer("latent_channels", 4, kMaxChannels);
  config.block_out_channels = in.integers("block_out_channels", {64}, kMaxChannels);
  const size_t levels = config.block_out_channels.size();
  in.words("down_block_types", {"DownEncoderBlock2D"}, levels, {"DownEncoderBlock2D"});
  in.words("up_block_types", {"UpDecoderBlock2D"}, levels, {"UpDecoderBlock2D"});
  config.layers_per_block = in.integer("layers_per_block", 1, kMaxLayers);
  config.norm_num_groups = in.integer("norm_num_groups", 32, kMaxChannels);
  config.scaling_factor = in.positive("scaling_factor", 0.18215);
  config.sample_size = in.integer("sample_size", 32, kMaxRows);
  check_groups(in, config.block_out_channels, config.norm_num_groups);
  return config;
}

ClipTextConfig parse_clip_text_config(const std::string& text, const std::string& where) {
  const ConfigReader in(text, where, kHint);
  in.only("model_type", "clip_text_model");
  ClipTextConfig config;
  config.vocab_size = in.integer("vocab_size", 49408, kMaxRows);
  config.hidden_size = in.integer("hidden_size", 512, kMaxChannels);
  config.intermediate_size = in.integer("intermediate_size", 2048, kMaxChannels);
  config.num_hidden_layers = in.integer("num_hidden_layers", 12, kMaxLayers);
  config.num_attention_heads = in.integer("num_attention_heads", 8, kMaxChannels);
  config.max_position_embeddings = in.integer("max_position_embeddings", 77, kMaxRows);
  config.hidden_act = in.word("hidden_act", "quick_gelu", {"quick_gelu", "gelu"});
  config.layer_norm_eps = in.positive("layer_norm_eps", 1e-5);
  if (config.hidden_size % config.num_attention_heads != 0) {
    in.refuse("num_attention_heads",
              fmt::format("a divisor of hidden_size ({})", config.hidden_size));
  }
  return config;
}

UNetConfig read_unet_config(const std::filesystem::path& file) {
  return parse_unet_config(read_file(file, kMaxFileBytes), file.string());
}

VaeConfig read_vae_config(const std::filesystem::path& file) {
  return parse_vae_config(read_file(file, kMaxFileBytes), file.string());
}

ClipTextConfig read_clip_text_config(const std::filesystem::path& file) {
  return parse_clip_text_config(read_file(file, kMaxFileBytes), file.string());
}

std::string unet_config_json(const UNetConfig& c) {
  std::vector<std::string> down;
  std::vector<std::string> up;
  for (const bool attention : c.down_attention) {
    down.push_back(attention ? "CrossAttnDownBlock2D" : "DownBlock2D");
    up.insert(up.begin(), attention ? "CrossAttnUpBlock2D" : "UpBlock2D");
  }
  return finished({{"_class_name", "UNet2DConditionModel"},
                   {"_diffusers_version", kDiffusersVersion},
                   {"act_fn", "silu"},
                   {"attention_head_dim", common_head_count(c.num_heads)},
                   {"block_out_channels", c.block_out_channels},
                   {"center_input_sample", false},
                   {"cross_attention_dim", c.cross_attention_dim},
                   {"down_block_types", down},
                   {"downsample_padding", 1},
                   {"dual_cross_attention", false},
                   {"flip_sin_to_cos", true},
                   {"freq_shift", 0},
                   {"in_channels", c.in_channels},
                   {"layers_per_block", c.layers_per_block},
                   {"mid_block_scale_factor", 1},
                   {"norm_eps", c.norm_eps},
                   {"norm_num_groups", c.norm_num_groups},
                   {"num_class_embeds", nullptr},
                   {"only_cross_attention", false},
                   {"out_channels", c.out_channels},
                   {"sample_size", c.sample_size},
                   {"up_block_types", up},
                   {"upcast_attention", c.upcast_attention},
                   {"use_linear_projection", c.use_linear_projection}});
}

std::string vae_config_json(const VaeConfig& c) {
  const size_t levels = c.block_out_channels.size();
  return finished({{"_class_name", "AutoencoderKL"},
                   {"_diffusers_version", kDiffusersVersion},
                   {"act_fn", "silu"},
                   {"block_out_channels", c.block_out_channels},
                   {"down_block_types", std::vector<std::string>(levels, "DownEncoderBlock2D")},
                   {"in_channels", c.in_channels},
                   {"latent_channels", c.latent_channels},
                   {"layers_per_block", c.layers_per_block},
                   {"norm_num_groups", c.norm_num_groups},
                   {"out_channels", c.out_channels},
                   {"sample_size", c.sample_size},
                   {"scaling_factor", c.scaling_factor},
                   {"up_block_types", std::vector<std::string>(levels, "UpDecoderBlock2D")}});
}

std::string clip_text_config_json(const ClipTextConfig& c) {
  return finished({{"architectures", Json::array({"CLIPTextModel"})},
                   {"attention_dropout", 0.0},
                   {"bos_token_id", 0},
                   {"eos_token_id", 2},
                   {"hidden_act", c.hidden_act},
                   {"hidden_size", c.hidden_size},
                   {"initializer_factor", 1.0},
                   {"initializer_range", 0.02},
                   {"intermediate_size", c.intermediate_size},
                   {"layer_norm_eps", c.layer_norm_eps},
                   {"max_position_embeddings", c.max_position_embeddings},
                   {"model_type", "clip_text_model"},
                   {"num_attention_heads", c.num_attention_heads},
                   {"num_hidden_layers", c.num_hidden_layers},
                   {"pad_token_id", 1},
                   {"projection_dim", c.hidden_size},
                   {"torch_dtype", "float32"},
                   {"transformers_version", kTransformersVersion},
                   {"vocab_size", c.vocab_size}});
}

}  // namespace sdtune
