#include "models/ldm_names.h"

#include <fmt/format.h>

#include <algorithm>

namespace sdtune {
namespace {

using Shape = std::vector<int64_t>;

// Collects weights below a pair of prefixes, one for each side.
class Names {
 public:
  explicit Names(std::string_view ldm_prefix) : ldm_prefix_(ldm_prefix) {}

  WeightName& add(const std::string& name, const std::string& ldm, Shape shape) {
    WeightName weight;
    weight.name = name;
    weight.ldm = ldm_prefix_ + ldm;
    weight.ldm_shape = shape;
    weight.shape = std::move(shape);
    all_.push_back(std::move(weight));
    return all_.back();
  }
  void conv(const std::string& name, const std::string& ldm, int64_t out, int64_t in,
            int64_t kernel) {
    add(name + ".weight", ldm + ".weight", {out, in, kernel, kernel});
    add(name + ".bias", ldm + ".bias", {out});
  }
  void linear(const std::string& name, const std::string& ldm, int64_t out, int64_t in) {
    add(name + ".weight", ldm + ".weight", {out, in});
    add(name + ".bias", ldm + ".bias", {out});
  }
  void norm(const std::string& name, const std::string& ldm, int64_t channels) {
    add(name + ".weight", ldm + ".weight", {channels});
    add(name + ".bias", ldm + ".bias", {channels});
  }

  std::vector<WeightName> take() { return std::move(all_); }

 private:
  std::string ldm_prefix_;
  std::vector<WeightName> all_;
};

// --- U-Net

struct UNetNames {
  const UNetConfig& config;
  Names names{kUNetPrefix};
  int64_t time_channels = 4 * config.block_out_channels.front();

  void resnet(const std::string& name, const std::string& ldm, int64_t in, int64_t out) {
    names.norm(name + ".norm1", ldm + ".in_layers.0", in);
    names.conv(name + ".conv1", ldm + ".in_layers.2", out, in, 3);
    names.linear(name + ".time_emb_proj", ldm + ".emb_layers.1", out, time_channels);
    names.norm(name + ".norm2", ldm + ".out_layers.0", out);
    names.conv(name + ".conv2", ldm + ".out_layers.3", out, out, 3);
    if (in != out) names.conv(name + ".conv_shortcut", ldm + ".skip_connection", out, in, 1);
  }

  void cross_attention(const std::string& name, const std::string& ldm, int64_t channels,
                       int64_t context) {
    names.add(name + ".to_q.weight", ldm + ".to_q.weight", {channels, channels});
    names.add(name + ".to_k.weight", ldm + ".to_k.weight", {channels, context});
    names.add(name + ".to_v.weight", ldm + ".to_v.weight", {channels, context});
    names.linear(name + ".to_out.0", ldm + ".to_out.0", channels, channels);
  }

  void projection(const std::string& name, const std::string& ldm, int64_t channels) {
    if (config.use_linear_projection) {
      names.linear(name, ldm, channels, channels);
    } else {
      names.conv(name, ldm, channels, channels, 1);
    }
  }

  void transformer(const std::string& name, const std::string& ldm, int64_t channels) {
    const std::string block = ".transformer_blocks.0";
    names.norm(name + ".norm", ldm + ".norm", channels);
    projection(name + ".proj_in", ldm + ".proj_in", channels);
    cross_attention(name + block + ".attn1", ldm + block + ".attn1", channels, channels);
    cross_attention(name + block + ".attn2", ldm + block + ".attn2", channels,
                    config.cross_attention_dim);
    // GEGLU doubles the 4-fold width for its gate.
    names.linear(name + block + ".ff.net.0.proj", ldm + block + ".ff.net.0.proj", 8 * channels,
                 channels);
    names.linear(name + block + ".ff.net.2", ldm + block + ".ff.net.2", channels, 4 * channels);
    for (const char* norm : {".norm1", ".norm2", ".norm3"}) {
      names.norm(name + block + norm, ldm + block + norm, channels);
    }
    projection(name + ".proj_out", ldm + ".proj_out", channels);
  }

  void down_block(int64_t level) {
    const auto& channels = config.block_out_channels;
    const int64_t layers = config.layers_per_block;
    int64_t in = channels[level == 0 ? 0 : level - 1];
    for (int64_t j = 0; j < layers; ++j) {
      const std::string ldm = fmt::format("input_blocks.{}", level * (layers + 1) + j + 1);
      const std::string name = fmt::format("down_blocks.{}", level);
      resnet(fmt::format("{}.resnets.{}", name, j), ldm + ".0", in, channels[level]);
      if (config.down_attention[level]) {
        transformer(fmt::format("{}.attentions.{}", name, j), ldm + ".1", channels[level]);
      }
      in = channels[level];
    }
    if (level + 1 < std::ssize(channels)) {
      names.conv(fmt::format("down_blocks.{}.downsamplers.0.conv", level),
                 fmt::format("input_blocks.{}.0.op", (level + 1) * (layers + 1)), in, in, 3);
    }
  }

  void up_block(int64_t block) {
    const auto& channels = config.block_out_channels;
    const int64_t levels = std::ssize(channels);
    const int64_t level = levels - 1 - block;
    const int64_t layers = config.layers_per_block + 1;
    const bool attention = config.down_attention[level];
    int64_t in = channels[std::min(level + 1, levels - 1)];
    for (int64_t j = 0; j < layers; ++j) {
      // The last skip connection of a level comes from the level above it.
      const int64_t skip =
          j + 1 == layers ? channels[std::max<int64_t>(level - 1, 0)] : channels[level];
      const std::string ldm = fmt::format("output_blocks.{}", block * layers + j);
      const std::string name = fmt::format("up_blocks.{}", block);
      resnet(fmt::format("{}.resnets.{}", name, j), ldm + ".0", in + skip, channels[level]);
      if (attention) {
        transformer(fmt::format("{}.attentions.{}", name, j), ldm + ".1", channels[level]);
      }
      in = channels[level];
    }
    if (level > 0) {
      names.conv(
          fmt::format("up_blocks.{}.upsamplers.0.conv", block),
          fmt::format("output_blocks.{}.{}.conv", block * layers + layers - 1, attention ? 2 : 1),
          in, in, 3);
    }
  }
};

// --- VAE

struct VaeNames {
  const VaeConfig& config;
  Names names{kVaePrefix};

  void resnet(const std::string& name, const std::string& ldm, int64_t in, int64_t out) {
    names.norm(name + ".norm1", ldm + ".norm1", in);
    names.conv(name + ".conv1", ldm + ".conv1", out, in, 3);
    names.norm(name + ".norm2", ldm + ".norm2", out);
    names.conv(name + ".conv2", ldm + ".conv2", out, out, 3);
    if (in != out) names.conv(name + ".conv_shortcut", ldm + ".nin_shortcut", out, in, 1);
  }

  void attention_projection(const std::string& block, const char* name, const char* old_name,
                            const std::string& ldm) {
    const int64_t channels = config.block_out_channels.back();
    auto& weight = names.add(block + name + ".weight", ldm + ".weight", {channels, channels});
    weight.ldm_shape = {channels, channels, 1, 1};
    weight.old_name = block + old_name + ".weight";
    names.add(block + name + ".bias", ldm + ".bias", {channels}).old_name =
        block + old_name + ".bias";
  }

  void middle(const std::string& side) {
    const int64_t channels = config.block_out_channels.back();
    resnet(side + ".mid_block.resnets.0", side + ".mid.block_1", channels, channels);
    const std::string name = side + ".mid_block.attentions.0.";
    const std::string ldm = side + ".mid.attn_1.";
    names.norm(name + "group_norm", ldm + "norm", channels);
    attention_projection(name, "to_q", "query", ldm + "q");
    attention_projection(name, "to_k", "key", ldm + "k");
    attention_projection(name, "to_v", "value", ldm + "v");
    attention_projection(name, "to_out.0", "proj_attn", ldm + "proj_out");
    resnet(side + ".mid_block.resnets.1", side + ".mid.block_2", channels, channels);
  }

  void encoder() {
    const auto& channels = config.block_out_channels;
    names.conv("encoder.conv_in", "encoder.conv_in", channels[0], config.in_channels, 3);
    int64_t in = channels[0];
    for (int64_t i = 0; i < std::ssize(channels); ++i) {
      for (int64_t j = 0; j < config.layers_per_block; ++j) {
        resnet(fmt::format("encoder.down_blocks.{}.resnets.{}", i, j),
               fmt::format("encoder.down.{}.block.{}", i, j), in, channels[i]);
        in = channels[i];
      }
      if (i + 1 < std::ssize(channels)) {
        names.conv(fmt::format("encoder.down_blocks.{}.downsamplers.0.conv", i),
                   fmt::format("encoder.down.{}.downsample.conv", i), in, in, 3);
      }
    }
    middle("encoder");
    names.norm("encoder.conv_norm_out", "encoder.norm_out", in);
    names.conv("encoder.conv_out", "encoder.conv_out", 2 * config.latent_channels, in, 3);
  }

  void decoder() {
    const auto& channels = config.block_out_channels;
    int64_t in = channels.back();
    names.conv("decoder.conv_in", "decoder.conv_in", in, config.latent_channels, 3);
    middle("decoder");
    for (int64_t i = 0; i < std::ssize(channels); ++i) {
      const int64_t level = std::ssize(channels) - 1 - i;
      for (int64_t j = 0; j < config.layers_per_block + 1; ++j) {
        resnet(fmt::format("decoder.up_blocks.{}.resnets.{}", i, j),
               fmt::format("decoder.up.{}.block.{}", level, j), in, channels[level]);
        in = channels[level];
      }
      if (level > 0) {
        names.conv(fmt::format("decoder.up_blocks.{}.upsamplers.0.conv", i),
                   fmt::format("decoder.up.{}.upsample.conv", level), in, in, 3);
      }
    }
    names.norm("decoder.conv_norm_out", "decoder.norm_out", in);
    names.conv("decoder.conv_out", "decoder.conv_out", config.out_channels, in, 3);
  }
};

// --- Text encoders

// CLIP-L: a single file has Transformers' own keys; the first ones had no "text_model." in them.
std::vector<WeightName> clip_names(std::vector<WeightName> weights) {
  for (auto& weight : weights) {
    weight.ldm = std::string(kClipPrefix) + weight.name;
    weight.old_ldm =
        std::string(kClipPrefix) + weight.name.substr(std::string_view("text_model.").size());
  }
  return weights;
}

struct OpenClipNames {
  const ClipTextConfig& config;
  Names names{kOpenClipPrefix};

  // One of query, key and value, which OpenCLIP keeps in one tensor.
  void projection(const std::string& layer, const std::string& block, const char* which,
                  int64_t part) {
    const int64_t width = config.hidden_size;
    auto& weight = names.add(fmt::format("{}.self_attn.{}_proj.weight", layer, which),
                             block + ".attn.in_proj_weight", {width, width});
    weight.ldm_shape = {3 * width, width};
    weight.part = part;
    weight.parts = 3;
    auto& bias = names.add(fmt::format("{}.self_attn.{}_proj.bias", layer, which),
                           block + ".attn.in_proj_bias", {width});
    bias.ldm_shape = {3 * width};
    bias.part = part;
    bias.parts = 3;
  }

  void encoder_layer(int64_t i) {
    const int64_t width = config.hidden_size;
    const std::string layer = fmt::format("text_model.encoder.layers.{}", i);
    const std::string block = fmt::format("transformer.resblocks.{}", i);
    projection(layer, block, "q", 0);
    projection(layer, block, "k", 1);
    projection(layer, block, "v", 2);
    names.linear(layer + ".self_attn.out_proj", block + ".attn.out_proj", width, width);
    names.norm(layer + ".layer_norm1", block + ".ln_1", width);
    names.linear(layer + ".mlp.fc1", block + ".mlp.c_fc", config.intermediate_size, width);
    names.linear(layer + ".mlp.fc2", block + ".mlp.c_proj", width, config.intermediate_size);
    names.norm(layer + ".layer_norm2", block + ".ln_2", width);
  }

  std::vector<WeightName> all() {
    const std::string embeddings = "text_model.embeddings.";
    names.add(embeddings + "token_embedding.weight", "token_embedding.weight",
              {config.vocab_size, config.hidden_size});
    names.add(embeddings + "position_embedding.weight", "positional_embedding",
              {config.max_position_embeddings, config.hidden_size});
    for (int64_t i = 0; i < config.num_hidden_layers; ++i) encoder_layer(i);
    names.norm("text_model.final_layer_norm", "ln_final", config.hidden_size);
    return names.take();
  }
};

}  // namespace

std::vector<WeightName> unet_weight_names(const UNetConfig& config) {
  UNetNames unet{config};
  Names& names = unet.names;
  const auto& channels = config.block_out_channels;
  const int64_t levels = std::ssize(channels);
  names.linear("time_embedding.linear_1", "time_embed.0", unet.time_channels, channels[0]);
  names.linear("time_embedding.linear_2", "time_embed.2", unet.time_channels, unet.time_channels);
  names.conv("conv_in", "input_blocks.0.0", channels[0], config.in_channels, 3);
  for (int64_t i = 0; i < levels; ++i) unet.down_block(i);
  unet.resnet("mid_block.resnets.0", "middle_block.0", channels.back(), channels.back());
  unet.transformer("mid_block.attentions.0", "middle_block.1", channels.back());
  unet.resnet("mid_block.resnets.1", "middle_block.2", channels.back(), channels.back());
  for (int64_t i = 0; i < levels; ++i) unet.up_block(i);
  names.norm("conv_norm_out", "out.0", channels[0]);
  names.conv("conv_out", "out.2", config.out_channels, channels[0], 3);
  return names.take();
}

std::vector<WeightName> vae_weight_names(const VaeConfig& config) {
  VaeNames vae{config};
  vae.encoder();
  vae.decoder();
  const int64_t moments = 2 * config.latent_channels;
  vae.names.conv("quant_conv", "quant_conv", moments, moments, 1);
  vae.names.conv("post_quant_conv", "post_quant_conv", config.latent_channels,
                 config.latent_channels, 1);
  return vae.names.take();
}

std::vector<WeightName> text_weight_names(const ClipTextConfig& config, ModelFamily family) {
  std::vector<WeightName> weights = OpenClipNames{config}.all();
  if (family == ModelFamily::kV2) return weights;
  for (auto& weight : weights) {
    weight.ldm_shape = weight.shape;
    weight.part = 0;
    weight.parts = 1;
  }
  return clip_names(std::move(weights));
}

bool same_up_to_trailing_ones(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  const auto& longer = a.size() >= b.size() ? a : b;
  const auto& shorter = a.size() >= b.size() ? b : a;
  return std::equal(shorter.begin(), shorter.end(), longer.begin()) &&
         std::all_of(longer.begin() + std::ssize(shorter), longer.end(),
                     [](int64_t size) { return size == 1; });
}

}  // namespace sdtune
