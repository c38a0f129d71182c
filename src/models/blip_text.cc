#include "models/blip_text.h"

#include <ATen/ATen.h>

#include <numeric>

#include "base/error.h"
#include "models/attention.h"

namespace sdtune {
namespace {

// Rows of one picture become more queries of it, so that its keys and values need no copies:
// [rows, n, C] -> [pictures, rows / pictures · n, C].
at::Tensor by_picture(const at::Tensor& x, int64_t pictures) {
  return x.reshape({pictures, -1, x.size(-1)});
}

void select_words(at::Tensor& slot, const at::Tensor& rows, int64_t length) {
  std::vector<int64_t> shape = slot.sizes().vec();
  shape[0] = rows.numel();
  const at::Tensor selected = at::empty(shape, slot.options());
  selected.narrow(2, 0, length).copy_(slot.narrow(2, 0, length).index_select(0, rows));
  slot = selected;
}

bool keeps_all(const std::vector<int64_t>& order, int64_t count) {
  std::vector<int64_t> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return order == all;
}

}  // namespace

void BlipTextCache::select(const std::vector<int64_t>& rows, const std::vector<int64_t>& pictures) {
  if (layers.empty()) return;
  const at::Device device = layers[0].keys.device();
  if (!keeps_all(rows, layers[0].keys.size(0))) {
    const at::Tensor order = at::tensor(rows, at::kLong).to(device);
    for (Layer& layer : layers) {
      select_words(layer.keys, order, length);
      select_words(layer.values, order, length);
    }
  }
  if (keeps_all(pictures, layers[0].picture_keys.size(0))) return;
  const at::Tensor order = at::tensor(pictures, at::kLong).to(device);
  for (Layer& layer : layers) {
    layer.picture_keys = layer.picture_keys.index_select(0, order);
    layer.picture_values = layer.picture_values.index_select(0, order);
  }
}

BertAttention::BertAttention(const BlipTextConfig& c, int64_t context_channels)
    : heads(c.num_attention_heads),
      query(c.hidden_size, c.hidden_size),
      key(context_channels, c.hidden_size),
      value(context_channels, c.hidden_size),
      dense(c.hidden_size, c.hidden_size),
      norm(c.hidden_size, c.layer_norm_eps) {}

void BertAttention::visit(ParameterVisitor& v) {
  v("self.query", query);
  v("self.key", key);
  v("self.value", value);
  v("output.dense", dense);
  v("output.LayerNorm", norm);
}

at::Tensor BertAttention::finish(const at::Tensor& x, const at::Tensor& mixed) const {
  return norm.forward(dense.forward(join_heads(mixed).reshape(x.sizes())) + x);
}

BlipTextLayer::BlipTextLayer(const BlipTextConfig& c)
    : attention(c, c.hidden_size),
      crossattention(c, c.encoder_hidden_size),
      intermediate(c.hidden_size, c.intermediate_size),
      output(c.intermediate_size, c.hidden_size),
      output_norm(c.hidden_size, c.layer_norm_eps) {}

void BlipTextLayer::visit(ParameterVisitor& v) {
  v("attention", attention);
  v("crossattention", crossattention);
  v("intermediate.dense", intermediate);
  v("output.dense", output);
  v("output.LayerNorm", output_norm);
}

at::Tensor BlipTextLayer::forward(const at::Tensor& x, BlipTextCache::Layer& cache,
                                  int64_t length) const {
  const int64_t n = x.size(1);
  cache.keys.narrow(2, length, n).copy_(split_heads(attention.key.forward(x), attention.heads));
  cache.values.narrow(2, length, n).copy_(split_heads(attention.value.forward(x), attention.heads));
  const at::Tensor words = at::scaled_dot_product_attention(
      split_heads(attention.query.forward(x), attention.heads), cache.keys.narrow(2, 0, length + n),
      cache.values.narrow(2, 0, length + n), /*attn_mask=*/{},
      /*dropout_p=*/0.0, /*is_causal=*/n > 1);
  const at::Tensor a = attention.finish(x, words);

  const int64_t pictures = cache.picture_keys.size(0);
  const at::Tensor queries = by_picture(crossattention.query.forward(a), pictures);
  const at::Tensor seen = at::scaled_dot_product_attention(
      split_heads(queries, crossattention.heads), cache.picture_keys, cache.picture_values);
  const at::Tensor b = crossattention.finish(a, seen);
  return output_norm.forward(output.forward(at::gelu(intermediate.forward(b))) + b);
}

BlipTextDecoder::BlipTextDecoder(const BlipTextConfig& c)
    : config(c),
      word_embeddings(c.vocab_size, c.hidden_size),
      position_embeddings(c.max_position_embeddings, c.hidden_size),
      embeddings_norm(c.hidden_size, c.layer_norm_eps),
      transform(c.hidden_size, c.hidden_size),
      transform_norm(c.hidden_size, c.layer_norm_eps),
      decoder_weight(unloaded({c.vocab_size, c.hidden_size})),
      decoder_bias(unloaded({c.vocab_size})) {
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) layers.emplace_back(c);
}

void BlipTextDecoder::visit(ParameterVisitor& v) {
  v("bert.embeddings.word_embeddings", word_embeddings);
  v("bert.embeddings.position_embeddings", position_embeddings);
  v("bert.embeddings.LayerNorm", embeddings_norm);
  v("bert.encoder.layer", layers);
  v("cls.predictions.transform.dense", transform);
  v("cls.predictions.transform.LayerNorm", transform_norm);
  v("cls.predictions.decoder.weight", decoder_weight);
  v("cls.predictions.bias", decoder_bias);
}

BlipTextCache BlipTextDecoder::begin(const at::Tensor& states, int64_t room) const {
  BlipTextCache cache;
  const int64_t heads = config.num_attention_heads;
  const std::vector<int64_t> shape = {states.size(0), heads, room, config.hidden_size / heads};
  for (const BlipTextLayer& layer : layers) {
    cache.layers.push_back(
        {at::empty(shape, states.options()), at::empty(shape, states.options()),
         split_heads(layer.crossattention.key.forward(states), heads).contiguous(),
         split_heads(layer.crossattention.value.forward(states), heads).contiguous()});
  }
  return cache;
}

at::Tensor BlipTextDecoder::forward(const at::Tensor& ids, BlipTextCache& cache) const {
  const int64_t n = ids.size(1);
  const int64_t end = cache.length + n;
  if (end > config.max_position_embeddings || end > cache.layers.at(0).keys.size(2)) {
    throw Error(fmt::format("a caption of {} tokens is longer than this model can read", end));
  }
  const at::Tensor positions = position_embeddings.weight.narrow(0, cache.length, n);
  at::Tensor x = embeddings_norm.forward(word_embeddings.forward(ids) + positions);
  for (size_t i = 0; i < layers.size(); ++i) {
    x = layers[i].forward(x, cache.layers[i], cache.length);
  }
  cache.length = end;
  return x;
}

at::Tensor BlipTextDecoder::logits(const at::Tensor& states) const {
  const at::Tensor x = transform_norm.forward(at::gelu(transform.forward(states)));
  return at::linear(x, decoder_weight, decoder_bias).to(at::kFloat);
}

}  // namespace sdtune
