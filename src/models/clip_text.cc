#include "models/clip_text.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "models/checkpoint.h"

namespace sdtune {

ClipLayer::ClipLayer(const ClipTextConfig& c)
    : quick_gelu(c.hidden_act == "quick_gelu"),
      heads(c.num_attention_heads),
      q_proj(c.hidden_size, c.hidden_size),
      k_proj(c.hidden_size, c.hidden_size),
      v_proj(c.hidden_size, c.hidden_size),
      out_proj(c.hidden_size, c.hidden_size),
      layer_norm1(c.hidden_size, c.layer_norm_eps),
      fc1(c.hidden_size, c.intermediate_size),
      fc2(c.intermediate_size, c.hidden_size),
      layer_norm2(c.hidden_size, c.layer_norm_eps) {}

void ClipLayer::visit(ParameterVisitor& v) {
  v("self_attn.k_proj", k_proj);
  v("self_attn.v_proj", v_proj);
  v("self_attn.q_proj", q_proj);
  v("self_attn.out_proj", out_proj);
  v("layer_norm1", layer_norm1);
  v("mlp.fc1", fc1);
  v("mlp.fc2", fc2);
  v("layer_norm2", layer_norm2);
}

at::Tensor ClipLayer::forward(const at::Tensor& x) const {
  const at::Tensor normed = layer_norm1.forward(x);
  const at::Tensor q = split_heads(q_proj.forward(normed), heads);
  const at::Tensor k = split_heads(k_proj.forward(normed), heads);
  const at::Tensor v = split_heads(v_proj.forward(normed), heads);
  const at::Tensor mixed = at::scaled_dot_product_attention(q, k, v, /*attn_mask=*/{},
                                                            /*dropout_p=*/0.0, /*is_causal=*/true);
  const at::Tensor a = x + out_proj.forward(join_heads(mixed));

  const at::Tensor h = fc1.forward(layer_norm2.forward(a));
  return a + fc2.forward(quick_gelu ? h * at::sigmoid(1.702 * h) : at::gelu(h));
}

ClipTextModel::ClipTextModel(const ClipTextConfig& c)
    : config(c),
      token_embedding(c.vocab_size, c.hidden_size),
      position_embedding(c.max_position_embeddings, c.hidden_size),
      final_layer_norm(c.hidden_size, c.layer_norm_eps) {
  if (c.hidden_act != "quick_gelu" && c.hidden_act != "gelu") {
    throw Error("the text encoder's activation \"" + c.hidden_act + "\" is not supported",
                "hidden_act", "Stable Diffusion 1.x uses \"quick_gelu\", 2.x uses \"gelu\".");
  }
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) layers.emplace_back(c);
}

void ClipTextModel::visit(ParameterVisitor& v) {
  v("text_model.embeddings.token_embedding", token_embedding);
  v("text_model.embeddings.position_embedding", position_embedding);
  v("text_model.encoder.layers", layers);
  v("text_model.final_layer_norm", final_layer_norm);
}

at::Tensor ClipTextModel::forward(const at::Tensor& ids, int64_t clip_skip) const {
  const int64_t count = static_cast<int64_t>(layers.size());
  if (clip_skip < 0 || clip_skip > count) {
    throw Error("clip_skip is " + std::to_string(clip_skip) + ", but this text encoder has " +
                    std::to_string(count) + " layers",
                "clip_skip", "Give a number from 1 to " + std::to_string(count) + ".");
  }
  const at::Tensor positions = position_embedding.weight.narrow(0, 0, ids.size(1));
  at::Tensor x = (token_embedding.forward(ids) + positions).to(compute_dtype);

  const int64_t used = count - std::max<int64_t>(clip_skip, 1) + 1;
  for (int64_t i = 0; i < used; ++i) {
    const ClipLayer& layer = layers[i];
    const auto block = [&layer](const std::vector<at::Tensor>& in) { return layer.forward(in[0]); };
    x = run_block(gradient_checkpointing, block, {x});
  }
  return final_layer_norm.forward(x).to(at::kFloat);
}

at::Tensor join_chunks(const at::Tensor& states, int64_t chunks) {
  if (chunks == 1) return states;
  const int64_t length = states.size(1);
  const at::Tensor split = states.unflatten(0, {-1, chunks});  // [B, chunks, 77, C]
  const at::Tensor words = split.slice(2, 1, length - 1).flatten(1, 2);
  const at::Tensor first = split.select(1, 0).slice(1, 0, 1);
  const at::Tensor last = split.select(1, chunks - 1).slice(1, length - 1, length);
  return at::cat({first, words, last}, 1);
}

}  // namespace sdtune
