// Configurations small enough for unit tests, one of each family. Tests alone include this.
#pragma once

#include "models/config.h"

namespace sdtune {

inline UNetConfig small_unet_v1() {
  return {.block_out_channels = {32, 64},
          .down_attention = {true, false},
          .layers_per_block = 1,
          .num_heads = {8, 8},
          .cross_attention_dim = 24,
          .sample_size = 8};
}

inline UNetConfig small_unet_v2() {
  return {.block_out_channels = {32, 64, 64},
          .down_attention = {true, true, false},
          .layers_per_block = 1,
          .num_heads = {1, 2, 2},
          .cross_attention_dim = 24,
          .use_linear_projection = true,
          .upcast_attention = true,
          .sample_size = 8};
}

inline VaeConfig small_vae() {
  return {.block_out_channels = {32, 32, 64}, .layers_per_block = 1, .sample_size = 32};
}

inline ClipTextConfig small_clip() {
  return {.vocab_size = 100,
          .hidden_size = 24,
          .intermediate_size = 48,
          .num_hidden_layers = 3,
          .num_attention_heads = 2};
}

}  // namespace sdtune
