// The VAE of Stable Diffusion: Diffusers' AutoencoderKL with its names.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "models/attention.h"
#include "models/config.h"
#include "models/parameters.h"
#include "models/resnet.h"

namespace sdtune {

struct VaeDownBlock {
  VaeDownBlock(const VaeConfig& config, size_t level);
  void visit(ParameterVisitor& v);
  at::Tensor forward(at::Tensor x) const;

  std::vector<ResnetBlock2D> resnets;
  std::vector<Downsample2D> downsamplers;  // one, or none at the last level
};

struct VaeUpBlock {
  VaeUpBlock(const VaeConfig& config,
             size_t level);  // `level` counts from the finest, as in the encoder
  void visit(ParameterVisitor& v);
  at::Tensor forward(at::Tensor x) const;

  std::vector<ResnetBlock2D> resnets;
  std::vector<Upsample2D> upsamplers;  // one, or none at the finest level
};

struct VaeMidBlock {
  explicit VaeMidBlock(const VaeConfig& config);
  void visit(ParameterVisitor& v);
  at::Tensor forward(const at::Tensor& x) const;

  std::vector<VaeAttention> attentions;  // one
  std::vector<ResnetBlock2D> resnets;    // two, around it
};

struct VaeEncoder {
  explicit VaeEncoder(const VaeConfig& config);
  void visit(ParameterVisitor& v);
  at::Tensor forward(const at::Tensor& images) const;

  Conv2d conv_in;
  std::vector<VaeDownBlock> down_blocks;
  VaeMidBlock mid_block;
  GroupNorm conv_norm_out;
  Conv2d conv_out;
};

struct VaeDecoder {
  explicit VaeDecoder(const VaeConfig& config);
  void visit(ParameterVisitor& v);
  at::Tensor forward(const at::Tensor& latents) const;

  Conv2d conv_in;
  VaeMidBlock mid_block;
  std::vector<VaeUpBlock> up_blocks;
  GroupNorm conv_norm_out;
  Conv2d conv_out;
};

struct AutoencoderKL {
  explicit AutoencoderKL(const VaeConfig& config);  // parameters are meta tensors until loaded
  void visit(ParameterVisitor& v);

  // images [B, 3, H, W] in [-1, 1] -> moments [B, 2 * latent_channels, H/8, W/8] fp32: mean, then
  // log-variance. (8 stands for a halving at each level but the last; sizes that do not divide are
  // rounded down.)
  at::Tensor encode(const at::Tensor& images) const;
  // latents [B, 4, h, w], unscaled -> images [B, 3, 8h, 8w] fp32.
  at::Tensor decode(const at::Tensor& latents) const;

  VaeConfig config;
  at::ScalarType compute_dtype = at::kFloat;

  VaeEncoder encoder;
  VaeDecoder decoder;
  Conv2d quant_conv;
  Conv2d post_quant_conv;
};

// Lays the convolutions' weights out in the order that encode() and decode() then follow in all
// between: channels last, on a CPU twice as fast for torch's convolutions, on a GPU what those in
// half precision want; but contiguous in fp32 on a GPU, and where a CPU has faster ones of our own
// for that (kernels/conv2d.h). Results are always contiguous.
void use_fastest_layout(AutoencoderKL& vae);

// mean + exp(logvar / 2) * noise, log-variance clamped to [-30, 20] as Diffusers'
// DiagonalGaussianDistribution. moments [B, 2C, h, w], noise [B, C, h, w] -> [B, C, h, w].
at::Tensor sample_posterior(const at::Tensor& moments, const at::Tensor& noise);

}  // namespace sdtune
