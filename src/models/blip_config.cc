#include "models/blip_config.h"

#include <fmt/format.h>

#include "models/config_reader.h"

namespace sdtune {
namespace {

constexpr char kHint[] =
    "Only BLIP captioners can be used, as Salesforce/blip-image-captioning-large.";
constexpr int64_t kMaxChannels = 1 << 16;
constexpr int64_t kMaxLayers = 256;
constexpr int64_t kMaxRows = 1 << 24;
constexpr int64_t kMaxSide = 1 << 13;

void check_heads(const ConfigReader& in, int64_t channels, int64_t heads) {
  if (channels % heads != 0) {
    in.refuse("num_attention_heads", fmt::format("a divisor of hidden_size ({})", channels));
  }
}

BlipVisionConfig read_vision(const ConfigReader& in) {
  BlipVisionConfig c;
  c.hidden_size = in.integer("hidden_size", c.hidden_size, kMaxChannels);
  c.intermediate_size = in.integer("intermediate_size", c.intermediate_size, kMaxChannels);
  c.num_hidden_layers = in.integer("num_hidden_layers", c.num_hidden_layers, kMaxLayers);
  c.num_attention_heads = in.integer("num_attention_heads", c.num_attention_heads, kMaxChannels);
  c.image_size = in.integer("image_size", c.image_size, kMaxSide);
  c.patch_size = in.integer("patch_size", c.patch_size, kMaxSide);
  c.layer_norm_eps = in.positive("layer_norm_eps", c.layer_norm_eps);
  in.only("hidden_act", "gelu");
  check_heads(in, c.hidden_size, c.num_attention_heads);
  if (c.image_size % c.patch_size != 0) {
    in.refuse("patch_size", fmt::format("a divisor of image_size ({})", c.image_size));
  }
  return c;
}

BlipTextConfig read_text(const ConfigReader& in, int64_t encoder_hidden_size) {
  BlipTextConfig c;
  c.encoder_hidden_size = encoder_hidden_size;
  c.vocab_size = in.integer("vocab_size", c.vocab_size, kMaxRows);
  c.hidden_size = in.integer("hidden_size", c.hidden_size, kMaxChannels);
  c.intermediate_size = in.integer("intermediate_size", c.intermediate_size, kMaxChannels);
  c.num_hidden_layers = in.integer("num_hidden_layers", c.num_hidden_layers, kMaxLayers);
  c.num_attention_heads = in.integer("num_attention_heads", c.num_attention_heads, kMaxChannels);
  c.max_position_embeddings =
      in.integer("max_position_embeddings", c.max_position_embeddings, kMaxRows);
  c.layer_norm_eps = in.positive("layer_norm_eps", c.layer_norm_eps);
  c.bos_token_id = in.index("bos_token_id", c.bos_token_id, c.vocab_size - 1);
  c.sep_token_id = in.index("sep_token_id", c.sep_token_id, c.vocab_size - 1);
  in.only("hidden_act", "gelu");
  in.only("position_embedding_type", "absolute");
  check_heads(in, c.hidden_size, c.num_attention_heads);
  return c;
}

}  // namespace

BlipConfig parse_blip_config(const std::string& text, const std::string& where) {
  const ConfigReader in(text, where, kHint);
  in.word("model_type", "blip", {"blip"});
  in.only("architectures", ConfigReader::Json::array({"BlipForConditionalGeneration"}));
  BlipConfig config;
  config.vision = read_vision(in.section("vision_config"));
  config.text = read_text(in.section("text_config"), config.vision.hidden_size);
  if (config.text.bos_token_id >= config.text.vocab_size ||
      config.text.sep_token_id >= config.text.vocab_size) {
    in.refuse("text_config", "token ids below vocab_size");
  }
  return config;
}

}  // namespace sdtune
