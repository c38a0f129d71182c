// A whole model that steps and draws in milliseconds, for tests of runs. Tests alone include this.
#pragma once

#include "models/small_models_for_test.h"
#include "train/random_model.h"

namespace sdtune {

inline RandomModel tiny_model() {
  RandomModel sizes{small_unet_v1(), small_vae(), small_clip()};
  sizes.unet.block_out_channels = {32};
  sizes.unet.down_attention = {true};
  sizes.unet.num_heads = {8};
  // Nearly all of the parameters stand in the table of words, so it is narrow.
  sizes.text.vocab_size = 49408;
  sizes.text.hidden_size = sizes.unet.cross_attention_dim = 8;
  sizes.text.intermediate_size = 16;
  sizes.text.num_hidden_layers = 1;
  sizes.vae.block_out_channels = {32, 32, 32, 32};  // an eighth of the side, as real ones
  return sizes;
}

}  // namespace sdtune
