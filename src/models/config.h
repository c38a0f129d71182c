// Sizes of the three models, under Diffusers' and Transformers' names. Where they come from: a
// config.json, or a single file's tensors by the families' rules (models/family.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sdtune {

struct UNetConfig {
  int64_t in_channels = 4;
  int64_t out_channels = 4;
  std::vector<int64_t> block_out_channels = {320, 640, 1280, 1280};
  // For each level: CrossAttnDownBlock2D or DownBlock2D.
  std::vector<bool> down_attention = {true, true, true, false};
  int64_t layers_per_block = 2;
  // For each level; Diffusers' "attention_head_dim" of Stable Diffusion's files.
  std::vector<int64_t> num_heads = {8, 8, 8, 8};
  int64_t cross_attention_dim = 768;
  bool use_linear_projection = false;
  bool upcast_attention = false;
  int64_t norm_num_groups = 32;
  double norm_eps = 1e-5;
  int64_t sample_size = 64;
};

struct VaeConfig {
  int64_t in_channels = 3;
  int64_t out_channels = 3;
  int64_t latent_channels = 4;
  std::vector<int64_t> block_out_channels = {128, 256, 512, 512};
  int64_t layers_per_block = 2;
  int64_t norm_num_groups = 32;
  double scaling_factor = 0.18215;
  int64_t sample_size = 512;
};

struct ClipTextConfig {
  int64_t vocab_size = 49408;
  int64_t hidden_size = 768;
  int64_t intermediate_size = 3072;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t max_position_embeddings = 77;
  std::string hidden_act = "quick_gelu";  // or "gelu"
  double layer_norm_eps = 1e-5;
};

}  // namespace sdtune
