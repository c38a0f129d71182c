// BLIP's decoder: BERT that looks back at its own words and across at a picture's states, one word
// after the other. Transformers' BlipTextLMHeadModel with its names. It says how likely each next
// word is; which one follows is chosen in annotate/caption_search.h.
// Li et al., "BLIP: bootstrapping language-image pre-training", 2022.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "models/blip_config.h"
#include "models/layers.h"

namespace sdtune {

// What has been read so far: keys and values of the words of each row, and of the pictures. Rows of
// one picture follow each other and are equally many for each.
struct BlipTextCache {
  struct Layer {
    at::Tensor keys, values;                  // [rows, heads, room, c], the first `length` filled
    at::Tensor picture_keys, picture_values;  // [pictures, heads, positions, c]
  };

  // Goes on with copies of these rows and of these pictures, in this order.
  void select(const std::vector<int64_t>& rows, const std::vector<int64_t>& pictures);

  std::vector<Layer> layers;
  int64_t length = 0;
};

struct BertAttention {
  BertAttention(const BlipTextConfig& config, int64_t context_channels);
  void visit(ParameterVisitor& v);
  // Adds to `x` [rows, n, hidden_size] what the heads found for it, [·, heads, ·, c] in the same
  // order, and norms the sum.
  at::Tensor finish(const at::Tensor& x, const at::Tensor& mixed) const;

  int64_t heads;
  Linear query, key, value, dense;
  LayerNorm norm;
};

struct BlipTextLayer {
  explicit BlipTextLayer(const BlipTextConfig& config);
  void visit(ParameterVisitor& v);
  // x [rows, n, hidden_size], the same shape; fills n places of the cache from `length` on.
  at::Tensor forward(const at::Tensor& x, BlipTextCache::Layer& cache, int64_t length) const;

  BertAttention attention;       // to the words so far
  BertAttention crossattention;  // to the picture
  Linear intermediate, output;
  LayerNorm output_norm;
};

struct BlipTextDecoder {
  explicit BlipTextDecoder(const BlipTextConfig& config);  // meta tensors until loaded
  void visit(ParameterVisitor& v);

  // A cache for one row a picture and captions of up to `room` ids. states [pictures, positions,
  // encoder_hidden_size].
  BlipTextCache begin(const at::Tensor& states, int64_t room) const;
  // ids int64 [rows, n], which follow the cache's -> states [rows, n, hidden_size]. Several ids at
  // once only as the first ones. Error when the cache has no room or the model no positions left.
  at::Tensor forward(const at::Tensor& ids, BlipTextCache& cache) const;
  at::Tensor logits(
      const at::Tensor& states) const;  // [..., hidden_size] -> [..., vocab_size] fp32

  BlipTextConfig config;
  Embedding word_embeddings, position_embeddings;
  LayerNorm embeddings_norm;
  std::vector<BlipTextLayer> layers;
  Linear transform;
  LayerNorm transform_norm;
  at::Tensor decoder_weight;  // [vocab_size, hidden_size]
  at::Tensor decoder_bias;    // [vocab_size]
};

}  // namespace sdtune
