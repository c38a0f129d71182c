#include "models/family.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace sdtune {
namespace {

constexpr int64_t kNormGroups = 32;
constexpr int64_t kV1Heads = 8;
constexpr int64_t kHeadSize = 64;

// The tensor's shape, which must have `dimensions` sizes of at least 1.
const std::vector<int64_t>& shape_of(const WeightFile& file, const std::string& name,
                                     size_t dimensions) {
  const TensorInfo* info = file.find(name);
  if (!info) {
    throw Error(
        fmt::format("the file has no tensor \"{}\"", name), file.path().string(),
        "A whole Stable Diffusion 1.x or 2.x model is needed: U-Net, VAE and text encoder.");
  }
  const auto positive = [](int64_t size) { return size >= 1; };
  if (info->shape.size() != dimensions ||
      !std::all_of(info->shape.begin(), info->shape.end(), positive)) {
    throw Error(fmt::format("tensor \"{}\" has shape [{}], {} dimensions were expected", name,
                            fmt::join(info->shape, ", "), dimensions),
                file.path().string());
  }
  return info->shape;
}

bool has(const WeightFile& file, const std::string& name) { return file.find(name) != nullptr; }

bool has_prefix(const WeightFile& file, std::string_view prefix) {
  return std::any_of(file.tensors().begin(), file.tensors().end(),
                     [&](const TensorInfo& info) { return info.name.starts_with(prefix); });
}

int64_t heads_of_64(const WeightFile& file, const char* what, int64_t width) {
  if (width % kHeadSize != 0) {
    throw Error(
        fmt::format("the {} has width {}, but its family has heads of size 64", what, width),
        file.path().string(),
        "Save the model as a Diffusers folder, whose config.json states the heads.");
  }
  return width / kHeadSize;
}

void check_norm_groups(const WeightFile& file, const std::vector<int64_t>& channels) {
  for (int64_t width : channels) {
    if (width % kNormGroups != 0) {
      throw Error(fmt::format("a level has {} channels, which 32 norm groups do not divide", width),
                  file.path().string(),
                  "Save the model as a Diffusers folder, whose config.json states the groups.");
    }
  }
}

struct UNetLevel {
  int64_t channels = 0;
  int64_t layers = 0;
  int64_t attentions = 0;
};

// Walks input_blocks.1, .2, …: residual blocks belong to a level, a downsampler ends it.
std::vector<UNetLevel> read_unet_levels(const WeightFile& file) {
  std::vector<UNetLevel> levels(1);
  for (int64_t k = 1;; ++k) {
    const std::string block = fmt::format("{}input_blocks.{}.", kUNetPrefix, k);
    if (has(file, block + "0.op.weight")) {
      levels.emplace_back();
      continue;
    }
    if (!has(file, block + "0.out_layers.3.weight")) break;
    auto& level = levels.back();
    const int64_t channels = shape_of(file, block + "0.out_layers.3.weight", 4)[0];
    if (level.layers > 0 && level.channels != channels) {
      throw Error(
          fmt::format("the U-Net's block \"{}\" changes from {} to {} channels within a level",
                      block, level.channels, channels),
          file.path().string());
    }
    level.channels = channels;
    ++level.layers;
    if (has(file, block + "1.proj_in.weight")) ++level.attentions;
  }
  for (const auto& level : levels) {
    const bool attention_fits = level.attentions == 0 || level.attentions == level.layers;
    if (level.layers == 0 || level.layers != levels.front().layers || !attention_fits) {
      throw Error(
          "the U-Net's levels differ in a way that Stable Diffusion 1.x and 2.x do not know",
          file.path().string());
    }
  }
  return levels;
}

std::string text_prefix_v1(const WeightFile& file) {
  const std::string prefix{kClipPrefix};
  return has(file, prefix + "text_model.embeddings.token_embedding.weight") ? prefix + "text_model."
                                                                            : prefix;
}

int64_t count_blocks(const WeightFile& file, const std::string& before, const std::string& after) {
  int64_t n = 0;
  while (has(file, fmt::format("{}{}{}", before, n, after))) ++n;
  return n;
}

}  // namespace

const char* prediction_type_name(PredictionType prediction) {
  return prediction == PredictionType::kV ? "v_prediction" : "epsilon";
}

std::optional<PredictionType> parse_prediction_type(const std::string& word) {
  if (word == "epsilon") return PredictionType::kEpsilon;
  if (word == "v" || word == "v_prediction") return PredictionType::kV;
  return std::nullopt;
}

ModelFamily family_of_single_file(const WeightFile& file) {
  const std::string place = file.path().string();
  if (has_prefix(file, "conditioner.embedders.")) {
    throw Error("SDXL is not supported", place, "Give a Stable Diffusion 1.x or 2.x model.");
  }
  if (has(file, std::string(kUNetPrefix) + "label_emb.0.0.weight")) {
    throw Error(
        "this U-Net also takes a label or image embedding (as unCLIP), which is not supported",
        place, "Give a Stable Diffusion 1.x or 2.x model.");
  }
  if (!has(file, std::string(kUNetPrefix) + "input_blocks.0.0.weight")) {
    throw Error(
        "the file holds no Stable Diffusion 1.x or 2.x model", place,
        "Its U-Net tensors would begin with \"model.diffusion_model.input_blocks.\". LoRA files, "
        "VAEs and other families cannot be trained on their own.");
  }
  if (has_prefix(file, kOpenClipPrefix)) return ModelFamily::kV2;
  if (has_prefix(file, kClipPrefix)) return ModelFamily::kV1;
  throw Error("the file holds a U-Net, but no text encoder", place,
              "Give a whole model: tensors that begin with \"cond_stage_model.\" are missing.");
}

void check_v2_flag(const std::string& place, ModelFamily family, std::optional<bool> v2) {
  if (!v2) return;
  if (family == ModelFamily::kV2 && !*v2) {
    throw Error("this is a Stable Diffusion 2.x model, but --v2 was not given", place, "Add --v2.");
  }
  if (family == ModelFamily::kV1 && *v2) {
    throw Error("this is a Stable Diffusion 1.x model, but --v2 was given", place,
                "Leave --v2 out, or give a Stable Diffusion 2.x model.");
  }
}

PredictionType check_v_parameterization_flag(const std::string& place,
                                             std::optional<PredictionType> stated,
                                             std::optional<bool> flag) {
  if (!flag) return stated.value_or(PredictionType::kEpsilon);
  const auto asked = *flag ? PredictionType::kV : PredictionType::kEpsilon;
  if (stated && *stated != asked) {
    throw Error(fmt::format("the model says that it predicts {}, but --v_parameterization was {}",
                            *stated == PredictionType::kV ? "v" : "the noise (epsilon)",
                            *flag ? "given" : "not given"),
                place, *flag ? "Leave --v_parameterization out." : "Add --v_parameterization.");
  }
  return asked;
}

void check_input_channels(const std::string& place, int64_t in_channels) {
  if (in_channels == 4) return;
  const char* kind = in_channels == 9   ? " (an inpainting model)"
                     : in_channels == 5 ? " (a depth model)"
                                        : "";
  throw Error(fmt::format("the U-Net takes {} input channels{}; only models with 4 can be trained",
                          in_channels, kind),
              place, "Give the base model that it was made from.");
}

UNetConfig infer_unet_config(const WeightFile& file, ModelFamily family,
                             PredictionType prediction) {
  const std::string prefix{kUNetPrefix};
  UNetConfig config;
  config.in_channels = shape_of(file, prefix + "input_blocks.0.0.weight", 4)[1];
  config.out_channels = shape_of(file, prefix + "out.2.weight", 4)[0];
  config.block_out_channels.clear();
  config.down_attention.clear();
  config.num_heads.clear();
  for (const auto& level : read_unet_levels(file)) {
    config.block_out_channels.push_back(level.channels);
    config.down_attention.push_back(level.attentions > 0);
    config.num_heads.push_back(
        family == ModelFamily::kV1 ? kV1Heads : heads_of_64(file, "U-Net", level.channels));
    config.layers_per_block = level.layers;
  }
  check_norm_groups(file, config.block_out_channels);
  const std::string middle = prefix + "middle_block.1.";
  config.cross_attention_dim =
      shape_of(file, middle + "transformer_blocks.0.attn2.to_k.weight", 2)[1];
  const TensorInfo* projection = file.find(middle + "proj_in.weight");
  config.use_linear_projection = projection && projection->shape.size() == 2;
  // SD 2.1 for 768 pixels overflows fp16 in its attention. 2.0 does not, and loses nothing by it.
  config.upcast_attention = family == ModelFamily::kV2 && prediction == PredictionType::kV;
  config.sample_size = config.upcast_attention ? 96 : 64;
  return config;
}

ClipTextConfig infer_text_config(const WeightFile& file, ModelFamily family) {
  ClipTextConfig config;
  std::string tokens, positions, fc1;
  if (family == ModelFamily::kV1) {
    const std::string prefix = text_prefix_v1(file);
    tokens = prefix + "embeddings.token_embedding.weight";
    positions = prefix + "embeddings.position_embedding.weight";
    fc1 = prefix + "encoder.layers.0.mlp.fc1.weight";
    config.num_hidden_layers =
        count_blocks(file, prefix + "encoder.layers.", ".layer_norm1.weight");
    config.hidden_act = "quick_gelu";
  } else {
    const std::string prefix{kOpenClipPrefix};
    tokens = prefix + "token_embedding.weight";
    positions = prefix + "positional_embedding";
    fc1 = prefix + "transformer.resblocks.0.mlp.c_fc.weight";
    // The model was trained on the states before the last block, so that block stays outside.
    config.num_hidden_layers =
        count_blocks(file, prefix + "transformer.resblocks.", ".ln_1.weight") - 1;
    config.hidden_act = "gelu";
  }
  config.vocab_size = shape_of(file, tokens, 2)[0];
  config.hidden_size = shape_of(file, tokens, 2)[1];
  config.max_position_embeddings = shape_of(file, positions, 2)[0];
  config.intermediate_size = shape_of(file, fc1, 2)[0];
  config.num_attention_heads = heads_of_64(file, "text encoder", config.hidden_size);
  if (config.num_hidden_layers < 1) {
    throw Error(
        "the text encoder has too few layers", file.path().string(),
        "A Stable Diffusion 2.x file holds at least two blocks, of which the last is not used.");
  }
  return config;
}

std::optional<VaeNaming> find_vae(const WeightFile& file) {
  const std::string ldm = "encoder.down.0.block.0.conv1.weight";
  if (has(file, std::string(kVaePrefix) + ldm)) return VaeNaming{true, std::string(kVaePrefix)};
  if (has(file, ldm)) return VaeNaming{true, ""};
  if (has(file, "encoder.down_blocks.0.resnets.0.conv1.weight")) return VaeNaming{false, ""};
  return std::nullopt;
}

VaeConfig infer_vae_config(const WeightFile& file, const VaeNaming& naming) {
  const std::string prefix = naming.prefix + "encoder.";
  const std::string level = prefix + (naming.ldm ? "down." : "down_blocks.");
  const std::string layer = naming.ldm ? ".block." : ".resnets.";
  const std::string conv = ".conv1.weight";
  VaeConfig config;
  config.block_out_channels.clear();
  const int64_t levels = count_blocks(file, level, layer + "0" + conv);
  for (int64_t i = 0; i < levels; ++i) {
    const std::string here = fmt::format("{}{}{}", level, i, layer);
    config.block_out_channels.push_back(shape_of(file, here + "0" + conv, 4)[0]);
  }
  config.layers_per_block = count_blocks(file, level + "0" + layer, conv);
  check_norm_groups(file, config.block_out_channels);
  config.in_channels = shape_of(file, prefix + "conv_in.weight", 4)[1];
  config.out_channels = shape_of(file, naming.prefix + "decoder.conv_out.weight", 4)[0];
  config.latent_channels = shape_of(file, naming.prefix + "decoder.conv_in.weight", 4)[1];
  return config;
}

void check_single_file_can_tell(const std::string& place, const ModelSizes& sizes) {
  std::string broken;
  for (size_t i = 0; i < sizes.unet.num_heads.size(); ++i) {
    const int64_t channels = sizes.unet.block_out_channels[i];
    const bool v1 = sizes.family == ModelFamily::kV1;
    const bool fits =
        v1 ? sizes.unet.num_heads[i] == kV1Heads : sizes.unet.num_heads[i] * kHeadSize == channels;
    if (!fits)
      broken =
          v1 ? "the U-Net has not 8 heads on each level" : "the U-Net's heads have not size 64";
  }
  if (sizes.text.num_attention_heads * kHeadSize != sizes.text.hidden_size) {
    broken = "the text encoder's heads have not size 64";
  }
  if (sizes.unet.norm_num_groups != kNormGroups || sizes.vae.norm_num_groups != kNormGroups) {
    broken = "there are not 32 norm groups";
  }
  const UNetConfig unet_rule;
  const VaeConfig vae_rule;
  const ClipTextConfig text_rule;
  if (sizes.unet.norm_eps != unet_rule.norm_eps ||
      sizes.text.layer_norm_eps != text_rule.layer_norm_eps) {
    broken = "the norms have another epsilon than 1e-5";
  }
  if (sizes.vae.scaling_factor != vae_rule.scaling_factor) {
    broken = "the VAE has another scaling factor than 0.18215";
  }
  if (broken.empty()) return;
  throw Error(fmt::format("a single file cannot hold this model: {}, and the file would not say so",
                          broken),
              place, "Save it with --save_model_as diffusers_safetensors.");
}

}  // namespace sdtune
