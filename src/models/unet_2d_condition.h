// The U-Net of Stable Diffusion 1.x and 2.x: Diffusers' UNet2DConditionModel with its names.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "models/config.h"
#include "models/parameters.h"
#include "models/unet_blocks.h"

namespace sdtune {

// cos and sin of the timesteps at geometrically spaced frequencies, from Ho et al., "Denoising
// diffusion probabilistic models", 2020, in Stable Diffusion's order: timesteps [B] of any type ->
// [B, channels] fp32, cosines first.
at::Tensor timestep_embedding(const at::Tensor& timesteps, int64_t channels);

struct TimestepMlp {
  TimestepMlp(int64_t in_channels, int64_t channels);
  void visit(ParameterVisitor& v);
  at::Tensor forward(const at::Tensor& x) const;  // [B, in_channels] -> [B, channels]

  Linear linear_1;
  Linear linear_2;
};

struct UNet2DConditionModel {
  explicit UNet2DConditionModel(
      const UNetConfig& config);  // parameters are meta tensors until loaded
  void visit(ParameterVisitor& v);

  // sample [B, 4, h, w] of any floating type, timesteps [B] of any type, fractions counting as they
  // are, encoder_hidden_states [B, n, cross_attention_dim] -> prediction [B, 4, h, w] fp32.
  // Computes in `compute_dtype`; parameters may have another type.
  // Any h and w of at least 1: sizes that do not halve evenly are brought back by the skip
  // connections' sizes.
  at::Tensor forward(const at::Tensor& sample, const at::Tensor& timesteps,
                     const at::Tensor& encoder_hidden_states) const;

  UNetConfig config;
  at::ScalarType compute_dtype = at::kFloat;
  bool gradient_checkpointing =
      false;  // the model must then stay where it is until backward() has run

  Conv2d conv_in;
  TimestepMlp time_embedding;
  std::vector<UNetDownBlock> down_blocks;
  UNetMidBlock mid_block;
  std::vector<UNetUpBlock> up_blocks;
  GroupNorm conv_norm_out;
  Conv2d conv_out;
};

// Lays the convolutions' weights out with channels last, which forward() then follows in all
// between; its result stays contiguous. Before gradients are asked for: parameters become others.
void use_channels_last(UNet2DConditionModel& unet);

// Whether that is faster: on a GPU in half precision, whose convolutions otherwise turn each input
// over.
bool wants_channels_last(at::ScalarType compute, at::Device device);

}  // namespace sdtune
