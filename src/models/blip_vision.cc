#include "models/blip_vision.h"

#include <ATen/ATen.h>

#include "kernels/attention.h"
#include "models/attention.h"

namespace sdtune {

BlipVisionLayer::BlipVisionLayer(const BlipVisionConfig& c)
    : heads(c.num_attention_heads),
      qkv(c.hidden_size, 3 * c.hidden_size),
      projection(c.hidden_size, c.hidden_size),
      layer_norm1(c.hidden_size, c.layer_norm_eps),
      fc1(c.hidden_size, c.intermediate_size),
      fc2(c.intermediate_size, c.hidden_size),
      layer_norm2(c.hidden_size, c.layer_norm_eps) {}

void BlipVisionLayer::visit(ParameterVisitor& v) {
  v("self_attn.qkv", qkv);
  v("self_attn.projection", projection);
  v("layer_norm1", layer_norm1);
  v("mlp.fc1", fc1);
  v("mlp.fc2", fc2);
  v("layer_norm2", layer_norm2);
}

at::Tensor BlipVisionLayer::forward(const at::Tensor& x) const {
  const auto parts = qkv.forward(layer_norm1.forward(x)).chunk(3, -1);
  const at::Tensor mixed = attention(split_heads(parts[0], heads), split_heads(parts[1], heads),
                                     split_heads(parts[2], heads));
  const at::Tensor a = x + projection.forward(join_heads(mixed));
  return a + fc2.forward(at::gelu(fc1.forward(layer_norm2.forward(a))));
}

BlipVisionModel::BlipVisionModel(const BlipVisionConfig& c)
    : class_embedding(unloaded({1, 1, c.hidden_size})),
      position_embedding(unloaded({1, c.positions(), c.hidden_size})),
      patch_embedding({.in_channels = 3,
                       .out_channels = c.hidden_size,
                       .kernel = c.patch_size,
                       .stride = c.patch_size,
                       .padding = 0}),
      post_layernorm(c.hidden_size, c.layer_norm_eps) {
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) layers.emplace_back(c);
}

void BlipVisionModel::visit(ParameterVisitor& v) {
  v("embeddings.class_embedding", class_embedding);
  v("embeddings.position_embedding", position_embedding);
  v("embeddings.patch_embedding", patch_embedding);
  v("encoder.layers", layers);
  v("post_layernorm", post_layernorm);
}

at::Tensor BlipVisionModel::forward(const at::Tensor& pixels) const {
  const at::Tensor patches = patch_embedding.forward(pixels).flatten(2).transpose(1, 2);
  const at::Tensor first = class_embedding.expand({pixels.size(0), -1, -1});
  at::Tensor x = at::cat({first, patches}, 1) + position_embedding;
  for (const BlipVisionLayer& layer : layers) x = layer.forward(x);
  return post_layernorm.forward(x);
}

}  // namespace sdtune
