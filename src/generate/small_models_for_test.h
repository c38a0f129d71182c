// Random models that are quick enough to draw with. Tests alone include this.
#pragma once

#include "generate/draw_pictures.h"
#include "models/random_init.h"
#include "models/small_models_for_test.h"

namespace sdtune {

struct SmallModels {
  SmallModels() : unet(small_unet_v1()), vae(vae_config()), text(text_config()) {
    initialise(unet, 1);
    initialise(vae, 2);
    initialise(text, 3);
  }

  PictureModels all(int64_t most_chunks = 1) const {
    return {unet,
            vae,
            {.model = text, .tokenizer = tokenizer, .most_chunks = most_chunks},
            false,
            scaled_linear_schedule(),
            at::kCPU};
  }

  // Halves three times, as the real one.
  static VaeConfig vae_config() {
    return {.block_out_channels = {32, 32, 32, 32}, .layers_per_block = 1, .sample_size = 64};
  }
  static ClipTextConfig text_config() {
    ClipTextConfig config = small_clip();
    config.vocab_size = kClipVocabularySize;
    return config;
  }

  UNet2DConditionModel unet;
  AutoencoderKL vae;
  ClipTextModel text;
  ClipTokenizer tokenizer;
};

}  // namespace sdtune
