// Sizes of a BLIP captioner, under Transformers' names (BlipConfig): a vision transformer and a
// BERT decoder that looks at its states. Read from the config.json of a Transformers folder; an
// original Salesforce checkpoint has none, and its tensors give the sizes (blip_files.h).
#pragma once

#include <cstdint>
#include <string>

namespace sdtune {

struct BlipVisionConfig {
  int64_t hidden_size = 768;
  int64_t intermediate_size = 3072;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t image_size = 384;  // sides of the square that a picture is squashed to
  int64_t patch_size = 16;
  double layer_norm_eps = 1e-5;

  int64_t positions() const {  // a class token, then the patches
    return 1 + (image_size / patch_size) * (image_size / patch_size);
  }
};

struct BlipTextConfig {
  int64_t vocab_size = 30524;
  int64_t hidden_size = 768;
  int64_t encoder_hidden_size = 768;  // the vision transformer's hidden_size
  int64_t intermediate_size = 3072;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 8;
  int64_t max_position_embeddings = 512;
  double layer_norm_eps = 1e-12;
  int64_t bos_token_id = 30522;  // stands in place of [CLS]
  int64_t sep_token_id = 102;    // ends a caption
};

struct BlipConfig {
  BlipVisionConfig vision;
  BlipTextConfig text;
};

// From the text of a config.json; `where` stands in errors. Missing keys have Transformers' own
// defaults. Error for what is no captioner, and for sizes that do not fit each other.
BlipConfig parse_blip_config(const std::string& text, const std::string& where);

}  // namespace sdtune
