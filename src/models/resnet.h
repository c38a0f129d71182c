// The convolutional parts of the U-Net and the VAE, with Diffusers' names: ResnetBlock2D,
// Downsample2D, Upsample2D.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "models/layers.h"

namespace sdtune {

struct ResnetSizes {
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t time_channels = 0;  // of the time embedding; 0: the block takes none (the VAE's)
  int64_t norm_num_groups = 32;
  double norm_eps = 1e-6;
};

struct ResnetBlock2D {
  explicit ResnetBlock2D(const ResnetSizes& sizes);
  void visit(ParameterVisitor& v);
  // x [B, in, H, W], time [B, time_channels] with its SiLU already taken (it is the same for every
  // block), or undefined -> [B, out, H, W].
  at::Tensor forward(const at::Tensor& x, const at::Tensor& time = {}) const;

  GroupNorm norm1;
  Conv2d conv1;
  std::optional<Linear> time_emb_proj;
  GroupNorm norm2;
  Conv2d conv2;
  std::optional<Conv2d> conv_shortcut;  // where the number of channels changes
};

// Halves height and width by a strided convolution.
struct Downsample2D {
  // The U-Net pads every side by one; the VAE pads right and bottom alone.
  enum class Padding { kAllSides, kRightBottom };
  Downsample2D(int64_t channels, Padding padding);
  void visit(ParameterVisitor& v);
  at::Tensor forward(
      const at::Tensor& x) const;  // [B, C, H, W] -> [B, C, ceil(H/2), ceil(W/2)]; VAE: floor

  bool pads_right_bottom;
  Conv2d conv;
};

// Doubles height and width by repeating pixels, then a convolution.
struct Upsample2D {
  explicit Upsample2D(int64_t channels);
  void visit(ParameterVisitor& v);
  at::Tensor forward(const at::Tensor& x) const;
  // To a given size: of the skip connection that follows, where halving had rounded.
  at::Tensor forward(const at::Tensor& x, int64_t height, int64_t width) const;

  Conv2d conv;
};

}  // namespace sdtune
