// Attention and the transformer blocks made of it, with Diffusers' names: Attention, FeedForward,
// BasicTransformerBlock, Transformer2DModel, and the VAE's single-head attention over pixels.
// Softmax over scaled products: Vaswani et al., "Attention is all you need", 2017.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "models/layers.h"

namespace sdtune {

at::Tensor split_heads(const at::Tensor& x,
                       int64_t heads);       // [B, n, C] -> [B, heads, n, C / heads]
at::Tensor join_heads(const at::Tensor& x);  // [B, heads, n, c] -> [B, n, heads · c]

struct AttentionSizes {
  int64_t channels = 0;
  int64_t context_channels = 0;  // of the keys' and values' source
  int64_t heads = 1;
  bool qkv_bias = false;
  bool upcast =
      false;  // products and softmax in fp32 whatever the computing type (SD 2.1 overflows fp16)
};

struct KeyValueSources {
  at::Tensor keys, values;  // [B, m, context_channels], what each is projected from
};

struct Attention {
  explicit Attention(const AttentionSizes& sizes);
  void visit(ParameterVisitor& v);
  // x [B, n, channels], context [B, m, context_channels] -> [B, n, channels].
  at::Tensor forward(const at::Tensor& x, const at::Tensor& context) const;

  int64_t heads;
  bool upcast;
  Linear to_q, to_k, to_v, to_out;
  // Makes the sources of keys and values from the context; empty: both are the context. What a
  // hypernetwork sets.
  std::function<KeyValueSources(const at::Tensor& context)> sources;
};

struct FeedForward {
  explicit FeedForward(int64_t channels);
  void visit(ParameterVisitor& v);
  at::Tensor forward(const at::Tensor& x) const;  // [..., channels], the same shape

  Linear in;   // channels -> 2 · 4 · channels, halved by GEGLU
  Linear out;  // 4 · channels -> channels
};

struct TransformerSizes {
  int64_t channels = 0;
  int64_t heads = 1;
  int64_t cross_attention_dim = 0;
  int64_t norm_num_groups = 32;
  bool use_linear_projection = false;
  bool upcast_attention = false;
};

struct BasicTransformerBlock {
  explicit BasicTransformerBlock(const TransformerSizes& sizes);
  void visit(ParameterVisitor& v);
  // x [B, n, channels], text [B, m, cross_attention_dim] -> [B, n, channels].
  at::Tensor forward(const at::Tensor& x, const at::Tensor& text) const;

  LayerNorm norm1;
  Attention attn1;  // of the pixels among themselves
  LayerNorm norm2;
  Attention attn2;  // to the text
  LayerNorm norm3;
  FeedForward ff;
};

// The same linear map of every pixel's channels. SD 1.x stores it as a 1x1 convolution, SD 2.x as a
// linear layer: the same numbers in another shape, so both run as one product.
struct PixelProjection {
  PixelProjection(int64_t channels, bool stored_as_linear);
  void visit(ParameterVisitor& v);
  at::Tensor forward(const at::Tensor& pixels) const;  // [B, H·W, channels], the same shape

  at::Tensor weight;  // [channels, channels] or [channels, channels, 1, 1]
  at::Tensor bias;    // [channels]
};

struct Transformer2DModel {
  explicit Transformer2DModel(const TransformerSizes& sizes);
  void visit(ParameterVisitor& v);
  // x [B, channels, H, W], text [B, m, cross_attention_dim] -> [B, channels, H, W].
  at::Tensor forward(const at::Tensor& x, const at::Tensor& text) const;

  GroupNorm norm;
  PixelProjection proj_in;
  PixelProjection proj_out;
  std::vector<BasicTransformerBlock> transformer_blocks;
};

struct VaeAttention {
  VaeAttention(int64_t channels, int64_t norm_num_groups);
  void visit(ParameterVisitor& v);
  at::Tensor forward(const at::Tensor& x) const;  // [B, channels, H, W], the same shape

  GroupNorm group_norm;
  Attention attention;
};

}  // namespace sdtune
