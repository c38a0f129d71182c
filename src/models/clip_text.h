// CLIP's text encoder: Transformers' CLIPTextModel with its names (SD 1.x: CLIP-L; SD 2.x:
// OpenCLIP-H).
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "models/attention.h"
#include "models/config.h"
#include "models/parameters.h"

namespace sdtune {

struct ClipLayer {
  explicit ClipLayer(const ClipTextConfig& config);
  void visit(ParameterVisitor& v);
  at::Tensor forward(const at::Tensor& x) const;  // [N, n, hidden_size], the same shape

  bool quick_gelu;  // x·sigmoid(1.702 x), OpenAI's; else the exact GELU
  int64_t heads;
  Linear q_proj, k_proj, v_proj, out_proj;
  LayerNorm layer_norm1;
  Linear fc1, fc2;
  LayerNorm layer_norm2;
};

struct ClipTextModel {
  // Parameters are meta tensors until loaded. Error for another activation than "quick_gelu" and
  // "gelu".
  explicit ClipTextModel(const ClipTextConfig& config);
  void visit(ParameterVisitor& v);  // names begin "text_model."

  // ids [N, 77] int64 -> states [N, 77, hidden_size] fp32. clip_skip k >= 1 takes hidden_states[-k]
  // through the final layer norm; 0 is the same as 1. Layers that a clip_skip leaves out do not run
  // and get no gradient. Error when k is larger than num_hidden_layers or negative. Ids must lie in
  // the vocabulary.
  at::Tensor forward(const at::Tensor& ids, int64_t clip_skip = 0) const;

  ClipTextConfig config;
  at::ScalarType compute_dtype = at::kFloat;
  bool gradient_checkpointing =
      false;  // the model must then stay where it is until backward() has run

  Embedding token_embedding;
  Embedding position_embedding;
  std::vector<ClipLayer> layers;
  LayerNorm final_layer_norm;
};

// Joins the states of n chunks of 77 for each caption (75n + 2 tokens: 152 and 227): states [B*n,
// 77, C] -> [B, 75n + 2, C]: the first BOS row, rows 1..75 of each chunk, the very last row. n = 1
// returns them as they are.
at::Tensor join_chunks(const at::Tensor& states, int64_t chunks);

}  // namespace sdtune
