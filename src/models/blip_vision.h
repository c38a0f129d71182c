// BLIP's vision transformer: a picture to the states that the decoder looks at. Transformers'
// BlipVisionModel with its names. Dosovitskiy et al., "An image is worth 16x16 words", 2021.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "models/blip_config.h"
#include "models/layers.h"

namespace sdtune {

struct BlipVisionLayer {
  explicit BlipVisionLayer(const BlipVisionConfig& config);
  void visit(ParameterVisitor& v);
  at::Tensor forward(const at::Tensor& x) const;  // [B, n, hidden_size], the same shape

  int64_t heads;
  Linear qkv, projection;
  LayerNorm layer_norm1;
  Linear fc1, fc2;
  LayerNorm layer_norm2;
};

struct BlipVisionModel {
  explicit BlipVisionModel(const BlipVisionConfig& config);  // meta tensors until loaded
  void visit(ParameterVisitor& v);
  // pixels [B, 3, image_size, image_size], normalised (annotate/blip_pixels.h), in the weights'
  // type -> [B, positions, hidden_size].
  at::Tensor forward(const at::Tensor& pixels) const;

  at::Tensor class_embedding;     // [1, 1, hidden_size]
  at::Tensor position_embedding;  // [1, positions, hidden_size]
  Conv2d patch_embedding;
  std::vector<BlipVisionLayer> layers;
  LayerNorm post_layernorm;
};

}  // namespace sdtune
