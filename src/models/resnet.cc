#include "models/resnet.h"

#include <ATen/ATen.h>

namespace sdtune {

ResnetBlock2D::ResnetBlock2D(const ResnetSizes& s)
    : norm1(s.norm_num_groups, s.in_channels, s.norm_eps),
      conv1({.in_channels = s.in_channels, .out_channels = s.out_channels}),
      norm2(s.norm_num_groups, s.out_channels, s.norm_eps),
      conv2({.in_channels = s.out_channels, .out_channels = s.out_channels}) {
  if (s.time_channels > 0) time_emb_proj.emplace(s.time_channels, s.out_channels);
  if (s.in_channels != s.out_channels) {
    conv_shortcut.emplace(ConvShape{
        .in_channels = s.in_channels, .out_channels = s.out_channels, .kernel = 1, .padding = 0});
  }
}

void ResnetBlock2D::visit(ParameterVisitor& v) {
  v("norm1", norm1);
  v("conv1", conv1);
  v("time_emb_proj", time_emb_proj);
  v("norm2", norm2);
  v("conv2", conv2);
  v("conv_shortcut", conv_shortcut);
}

at::Tensor ResnetBlock2D::forward(const at::Tensor& x, const at::Tensor& time) const {
  at::Tensor h = conv1.forward(norm1.forward_silu(x));
  if (time_emb_proj) h = h + time_emb_proj->forward(time).unsqueeze(-1).unsqueeze(-1);
  h = conv2.forward(norm2.forward_silu(h));
  return (conv_shortcut ? conv_shortcut->forward(x) : x) + h;
}

Downsample2D::Downsample2D(int64_t channels, Padding padding)
    : pads_right_bottom(padding == Padding::kRightBottom),
      conv({.in_channels = channels,
            .out_channels = channels,
            .stride = 2,
            .padding = pads_right_bottom ? 0 : 1}) {}

void Downsample2D::visit(ParameterVisitor& v) { v("conv", conv); }

at::Tensor Downsample2D::forward(const at::Tensor& x) const {
  return conv.forward(pads_right_bottom ? at::constant_pad_nd(x, {0, 1, 0, 1}) : x);
}

Upsample2D::Upsample2D(int64_t channels)
    : conv({.in_channels = channels, .out_channels = channels}) {}

void Upsample2D::visit(ParameterVisitor& v) { v("conv", conv); }

at::Tensor Upsample2D::forward(const at::Tensor& x) const {
  return forward(x, 2 * x.size(2), 2 * x.size(3));
}

at::Tensor Upsample2D::forward(const at::Tensor& x, int64_t height, int64_t width) const {
  return conv.forward(at::upsample_nearest2d(x, {height, width}));
}

}  // namespace sdtune
