#include "models/autoencoder_kl.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/conv2d.h"

namespace sdtune {
namespace {

constexpr double kNormEps = 1e-6;

std::vector<ResnetBlock2D> make_resnets(const VaeConfig& c, int64_t count, int64_t in_channels,
                                        int64_t channels) {
  std::vector<ResnetBlock2D> resnets;
  for (int64_t i = 0; i < count; ++i) {
    resnets.emplace_back(ResnetSizes{.in_channels = i == 0 ? in_channels : channels,
                                     .out_channels = channels,
                                     .norm_num_groups = c.norm_num_groups,
                                     .norm_eps = kNormEps});
  }
  return resnets;
}

ConvShape pointwise(int64_t channels) {
  return {.in_channels = channels, .out_channels = channels, .kernel = 1, .padding = 0};
}

}  // namespace

VaeDownBlock::VaeDownBlock(const VaeConfig& c, size_t level)
    : resnets(make_resnets(c, c.layers_per_block, c.block_out_channels[level == 0 ? 0 : level - 1],
                           c.block_out_channels[level])) {
  if (level + 1 < c.block_out_channels.size()) {
    downsamplers.emplace_back(c.block_out_channels[level], Downsample2D::Padding::kRightBottom);
  }
}

void VaeDownBlock::visit(ParameterVisitor& v) {
  v("resnets", resnets);
  v("downsamplers", downsamplers);
}

at::Tensor VaeDownBlock::forward(at::Tensor x) const {
  for (const ResnetBlock2D& resnet : resnets) x = resnet.forward(x);
  for (const Downsample2D& downsampler : downsamplers) x = downsampler.forward(x);
  return x;
}

VaeUpBlock::VaeUpBlock(const VaeConfig& c, size_t level)
    : resnets(
          make_resnets(c, c.layers_per_block + 1,
                       c.block_out_channels[std::min(level + 1, c.block_out_channels.size() - 1)],
                       c.block_out_channels[level])) {
  if (level > 0) upsamplers.emplace_back(c.block_out_channels[level]);
}

void VaeUpBlock::visit(ParameterVisitor& v) {
  v("resnets", resnets);
  v("upsamplers", upsamplers);
}

at::Tensor VaeUpBlock::forward(at::Tensor x) const {
  for (const ResnetBlock2D& resnet : resnets) x = resnet.forward(x);
  for (const Upsample2D& upsampler : upsamplers) x = upsampler.forward(x);
  return x;
}

VaeMidBlock::VaeMidBlock(const VaeConfig& c)
    : resnets(make_resnets(c, 2, c.block_out_channels.back(), c.block_out_channels.back())) {
  attentions.emplace_back(c.block_out_channels.back(), c.norm_num_groups);
}

void VaeMidBlock::visit(ParameterVisitor& v) {
  v("attentions", attentions);
  v("resnets", resnets);
}

at::Tensor VaeMidBlock::forward(const at::Tensor& x) const {
  return resnets[1].forward(attentions[0].forward(resnets[0].forward(x)));
}

VaeEncoder::VaeEncoder(const VaeConfig& c)
    : conv_in({.in_channels = c.in_channels, .out_channels = c.block_out_channels[0]}),
      mid_block(c),
      conv_norm_out(c.norm_num_groups, c.block_out_channels.back(), kNormEps),
      conv_out(
          {.in_channels = c.block_out_channels.back(), .out_channels = 2 * c.latent_channels}) {
  for (size_t i = 0; i < c.block_out_channels.size(); ++i) down_blocks.emplace_back(c, i);
}

void VaeEncoder::visit(ParameterVisitor& v) {
  v("conv_in", conv_in);
  v("down_blocks", down_blocks);
  v("mid_block", mid_block);
  v("conv_norm_out", conv_norm_out);
  v("conv_out", conv_out);
}

at::Tensor VaeEncoder::forward(const at::Tensor& images) const {
  at::Tensor x = conv_in.forward(images);
  for (const VaeDownBlock& block : down_blocks) x = block.forward(x);
  x = mid_block.forward(x);
  return conv_out.forward(conv_norm_out.forward_silu(x));
}

VaeDecoder::VaeDecoder(const VaeConfig& c)
    : conv_in({.in_channels = c.latent_channels, .out_channels = c.block_out_channels.back()}),
      mid_block(c),
      conv_norm_out(c.norm_num_groups, c.block_out_channels[0], kNormEps),
      conv_out({.in_channels = c.block_out_channels[0], .out_channels = c.out_channels}) {
  for (size_t i = c.block_out_channels.size(); i-- > 0;) up_blocks.emplace_back(c, i);
}

void VaeDecoder::visit(ParameterVisitor& v) {
  v("conv_in", conv_in);
  v("up_blocks", up_blocks);
  v("mid_block", mid_block);
  v("conv_norm_out", conv_norm_out);
  v("conv_out", conv_out);
}

at::Tensor VaeDecoder::forward(const at::Tensor& latents) const {
  at::Tensor x = mid_block.forward(conv_in.forward(latents));
  for (const VaeUpBlock& block : up_blocks) x = block.forward(x);
  return conv_out.forward(conv_norm_out.forward_silu(x));
}

AutoencoderKL::AutoencoderKL(const VaeConfig& c)
    : config(c),
      encoder(c),
      decoder(c),
      quant_conv(pointwise(2 * c.latent_channels)),
      post_quant_conv(pointwise(c.latent_channels)) {}

void AutoencoderKL::visit(ParameterVisitor& v) {
  v("encoder", encoder);
  v("decoder", decoder);
  v("quant_conv", quant_conv);
  v("post_quant_conv", post_quant_conv);
}

at::Tensor AutoencoderKL::encode(const at::Tensor& images) const {
  const at::Tensor x =
      images.to(compute_dtype).contiguous(encoder.conv_in.weight.suggest_memory_format());
  return quant_conv.forward(encoder.forward(x)).to(at::kFloat).contiguous();
}

at::Tensor AutoencoderKL::decode(const at::Tensor& latents) const {
  const at::Tensor x =
      latents.to(compute_dtype).contiguous(post_quant_conv.weight.suggest_memory_format());
  return decoder.forward(post_quant_conv.forward(x)).to(at::kFloat).contiguous();
}

void use_fastest_layout(AutoencoderKL& vae) {
  const at::Tensor& weight = vae.encoder.conv_in.weight;
  if (has_fast_planes(weight.scalar_type(), weight.device())) return;
  visit_parameters(vae, [](const std::string&, at::Tensor& parameter) {
    if (parameter.dim() == 4) {
      parameter = parameter.contiguous(at::MemoryFormat::ChannelsLast);
    }
  });
}

at::Tensor sample_posterior(const at::Tensor& moments, const at::Tensor& noise) {
  const std::vector<at::Tensor> parts = moments.chunk(2, 1);
  return parts[0] + (0.5 * parts[1].clamp(-30.0, 20.0)).exp() * noise;
}

}  // namespace sdtune
