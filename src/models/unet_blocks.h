// The levels of the U-Net with Diffusers' names: (CrossAttn)DownBlock2D, UNetMidBlock2DCrossAttn,
// (CrossAttn)UpBlock2D. Each resnet and each transformer is one unit of gradient checkpointing.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "models/attention.h"
#include "models/resnet.h"

namespace sdtune {

// What every block of one pass is given.
struct UNetPass {
  at::Tensor time;  // [B, time_channels], SiLU taken
  at::Tensor text;  // [B, m, cross_attention_dim]
  bool checkpointing = false;
};

// One level's sizes. `resnet_inputs` holds the channels that enter each resnet; channels come out
// of all.
struct UNetLevel {
  std::vector<int64_t> resnet_inputs;
  int64_t time_channels = 0;
  double norm_eps = 1e-5;
  TransformerSizes transformer;  // transformer.channels are the level's
  bool attention = true;
  bool resamples = true;  // the last level down and the last level up do not
};

struct UNetDownBlock {
  explicit UNetDownBlock(const UNetLevel& level);
  void visit(ParameterVisitor& v);
  // x [B, in, H, W] -> [B, channels, H/2, W/2] (rounded up); appends each part's output to `skips`.
  at::Tensor forward(at::Tensor x, const UNetPass& pass, std::vector<at::Tensor>& skips) const;

  std::vector<Transformer2DModel> attentions;  // as many as resnets, or none
  std::vector<ResnetBlock2D> resnets;
  std::vector<Downsample2D> downsamplers;  // one or none
};

struct UNetMidBlock {
  explicit UNetMidBlock(const UNetLevel& level);
  void visit(ParameterVisitor& v);
  at::Tensor forward(at::Tensor x, const UNetPass& pass) const;  // [B, C, H, W], the same shape

  std::vector<Transformer2DModel> attentions;
  std::vector<ResnetBlock2D> resnets;  // one more than attentions: the first stands before them
};

struct UNetUpBlock {
  explicit UNetUpBlock(const UNetLevel& level);
  void visit(ParameterVisitor& v);
  // Takes one skip from the end of `skips` for each resnet, then grows to the height and width of
  // the skip that the next level takes first.
  at::Tensor forward(at::Tensor x, const UNetPass& pass, std::vector<at::Tensor>& skips) const;

  std::vector<Transformer2DModel> attentions;
  std::vector<ResnetBlock2D> resnets;
  std::vector<Upsample2D> upsamplers;  // one or none
};

}  // namespace sdtune
