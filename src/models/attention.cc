#include "models/attention.h"

#include <ATen/ATen.h>

#include "kernels/attention.h"
#include "kernels/geglu.h"

namespace sdtune {
namespace {

constexpr double kTransformerNormEps =
    1e-6;  // Transformer2DModel's own, whatever the config's norm_eps
constexpr double kVaeNormEps = 1e-6;

at::Tensor to_pixels(const at::Tensor& image) {  // [B, C, H, W] -> [B, H·W, C]
  return image.flatten(2).transpose(1, 2);
}

// The way back, in the memory order of `like`: the convolutions that follow choose their kernels by
// it.
at::Tensor to_image(const at::Tensor& pixels, const at::Tensor& like) {
  return pixels.transpose(1, 2)
      .unflatten(2, {like.size(2), like.size(3)})
      .contiguous(like.suggest_memory_format());
}

}  // namespace

at::Tensor split_heads(const at::Tensor& x, int64_t heads) {
  return x.unflatten(-1, {heads, x.size(-1) / heads}).transpose(1, 2);
}

at::Tensor join_heads(const at::Tensor& x) { return x.transpose(1, 2).flatten(2); }

Attention::Attention(const AttentionSizes& s)
    : heads(s.heads),
      upcast(s.upcast),
      to_q(s.channels, s.channels, s.qkv_bias),
      to_k(s.context_channels, s.channels, s.qkv_bias),
      to_v(s.context_channels, s.channels, s.qkv_bias),
      to_out(s.channels, s.channels) {}

void Attention::visit(ParameterVisitor& v) {
  v("to_q", to_q);
  v("to_k", to_k);
  v("to_v", to_v);
  v("to_out.0", to_out);  // Diffusers keeps a dropout at place 1
}

at::Tensor Attention::forward(const at::Tensor& x, const at::Tensor& context) const {
  at::Tensor q = split_heads(to_q.forward(x), heads);
  const KeyValueSources from = sources ? sources(context) : KeyValueSources{context, context};
  at::Tensor k = split_heads(to_k.forward(from.keys), heads);
  at::Tensor v = split_heads(to_v.forward(from.values), heads);
  if (upcast) {
    q = q.to(at::kFloat);
    k = k.to(at::kFloat);
    v = v.to(at::kFloat);
  }
  // On CUDA the kernel is torch's choice. Flash attention, or cuDNN's on newer devices, takes half
  // precision with heads of up to 256 channels that 8 divides: 40, 80 and 160 in SD 1.x, 64 in SD
  // 2.x. fp32, also where products are upcast, and the VAE's single head of 512 go to the
  // memory-efficient kernel.
  const at::Tensor mixed = attention(q, k, v).to(x.scalar_type());
  return to_out.forward(join_heads(mixed));
}

FeedForward::FeedForward(int64_t channels)
    : in(channels, 8 * channels), out(4 * channels, channels) {}

void FeedForward::visit(ParameterVisitor& v) {
  v("net.0.proj", in);
  v("net.2", out);
}

at::Tensor FeedForward::forward(const at::Tensor& x) const {
  return out.forward(geglu(in.forward(x)));
}

BasicTransformerBlock::BasicTransformerBlock(const TransformerSizes& s)
    : norm1(s.channels),
      attn1({.channels = s.channels,
             .context_channels = s.channels,
             .heads = s.heads,
             .upcast = s.upcast_attention}),
      norm2(s.channels),
      attn2({.channels = s.channels,
             .context_channels = s.cross_attention_dim,
             .heads = s.heads,
             .upcast = s.upcast_attention}),
      norm3(s.channels),
      ff(s.channels) {}

void BasicTransformerBlock::visit(ParameterVisitor& v) {
  v("norm1", norm1);
  v("attn1", attn1);
  v("norm2", norm2);
  v("attn2", attn2);
  v("norm3", norm3);
  v("ff", ff);
}

at::Tensor BasicTransformerBlock::forward(const at::Tensor& x, const at::Tensor& text) const {
  const at::Tensor own = norm1.forward(x);
  const at::Tensor a = x + attn1.forward(own, own);
  const at::Tensor b = a + attn2.forward(norm2.forward(a), text);
  return b + ff.forward(norm3.forward(b));
}

PixelProjection::PixelProjection(int64_t channels, bool stored_as_linear)
    : weight(stored_as_linear ? unloaded({channels, channels})
                              : unloaded({channels, channels, 1, 1})),
      bias(unloaded({channels})) {}

void PixelProjection::visit(ParameterVisitor& v) {
  v("weight", weight);
  v("bias", bias);
}

at::Tensor PixelProjection::forward(const at::Tensor& pixels) const {
  const at::ScalarType type = pixels.scalar_type();
  return at::linear(pixels, weight.flatten(1).to(type), bias.to(type));
}

Transformer2DModel::Transformer2DModel(const TransformerSizes& s)
    : norm(s.norm_num_groups, s.channels, kTransformerNormEps),
      proj_in(s.channels, s.use_linear_projection),
      proj_out(s.channels, s.use_linear_projection) {
  transformer_blocks.emplace_back(s);
}

void Transformer2DModel::visit(ParameterVisitor& v) {
  v("norm", norm);
  v("proj_in", proj_in);
  v("transformer_blocks", transformer_blocks);
  v("proj_out", proj_out);
}

at::Tensor Transformer2DModel::forward(const at::Tensor& x, const at::Tensor& text) const {
  at::Tensor pixels = proj_in.forward(to_pixels(norm.forward(x)));
  for (const BasicTransformerBlock& block : transformer_blocks) {
    pixels = block.forward(pixels, text);
  }
  return x + to_image(proj_out.forward(pixels), x);
}

VaeAttention::VaeAttention(int64_t channels, int64_t norm_num_groups)
    : group_norm(norm_num_groups, channels, kVaeNormEps),
      attention(
          {.channels = channels, .context_channels = channels, .heads = 1, .qkv_bias = true}) {}

void VaeAttention::visit(ParameterVisitor& v) {
  v("group_norm", group_norm);
  attention.visit(v);
}

at::Tensor VaeAttention::forward(const at::Tensor& x) const {
  const at::Tensor pixels = to_pixels(group_norm.forward(x));
  return x + to_image(attention.forward(pixels, pixels), x);
}

}  // namespace sdtune
