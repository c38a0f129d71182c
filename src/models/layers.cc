#include "models/layers.h"

#include <ATen/ATen.h>

#include "kernels/conv2d.h"
#include "kernels/group_norm.h"
#include "kernels/group_norm_device.h"
#include "kernels/group_norm_planes.h"
#include "kernels/linear.h"

namespace sdtune {
namespace {

at::Tensor as_type_of(const at::Tensor& x, const at::Tensor& parameter) {
  return parameter.defined() ? parameter.to(x.scalar_type()) : parameter;
}

}  // namespace

at::Tensor unloaded(at::IntArrayRef shape) {
  return at::empty(shape, at::TensorOptions().dtype(at::kFloat).device(at::kMeta));
}

Linear::Linear(int64_t in_features, int64_t out_features, bool has_bias)
    : weight(unloaded({out_features, in_features})) {
  if (has_bias) bias = unloaded({out_features});
}

void Linear::visit(ParameterVisitor& v) {
  v("weight", weight);
  if (bias.defined()) v("bias", bias);
}

at::Tensor Linear::forward(const at::Tensor& x) const {
  return linear({x, as_type_of(x, weight), as_type_of(x, bias)});
}

Conv2d::Conv2d(const ConvShape& shape)
    : stride(shape.stride),
      padding(shape.padding),
      weight(unloaded({shape.out_channels, shape.in_channels, shape.kernel, shape.kernel})),
      bias(unloaded({shape.out_channels})) {}

void Conv2d::visit(ParameterVisitor& v) {
  v("weight", weight);
  v("bias", bias);
}

at::Tensor Conv2d::forward(const at::Tensor& x) const {
  return conv2d({x, as_type_of(x, weight), as_type_of(x, bias), stride, padding});
}

GroupNorm::GroupNorm(int64_t group_count, int64_t channels, double epsilon)
    : groups(group_count), eps(epsilon), weight(unloaded({channels})), bias(unloaded({channels})) {}

void GroupNorm::visit(ParameterVisitor& v) {
  v("weight", weight);
  v("bias", bias);
}

namespace {

at::Tensor group_norm(const GroupNorm& layer, const at::Tensor& x, bool silu) {
  if (const GroupNormCall call{x, layer.groups, layer.weight, layer.bias, layer.eps, silu};
      takes_group_norm(call)) {
    return group_norm_channels_last(call);
  }
  if (const GroupNormCall call{x, layer.groups, layer.weight, layer.bias, layer.eps, silu};
      takes_group_norm_on_device(call)) {
    return group_norm_on_device(call);
  }
  // On the CPU torch's kernel for channels last loses a digit: 1e-5 to 6e-5 in a VAE's latents,
  // where the contiguous one gives 6e-6 (torch 2.11, against fp64).
  const at::Tensor input = x.device().is_cpu() ? x.contiguous() : x;
  if (const GroupNormCall call{input, layer.groups, layer.weight, layer.bias, layer.eps, silu};
      takes_group_norm_planes(call)) {
    return group_norm_planes(call);
  }
  const at::Tensor out = at::group_norm(input, layer.groups, as_type_of(x, layer.weight),
                                        as_type_of(x, layer.bias), layer.eps);
  return silu ? at::silu(out) : out;
}

}  // namespace

at::Tensor GroupNorm::forward(const at::Tensor& x) const { return group_norm(*this, x, false); }

at::Tensor GroupNorm::forward_silu(const at::Tensor& x) const { return group_norm(*this, x, true); }

LayerNorm::LayerNorm(int64_t channels, double epsilon)
    : eps(epsilon), weight(unloaded({channels})), bias(unloaded({channels})) {}

void LayerNorm::visit(ParameterVisitor& v) {
  v("weight", weight);
  v("bias", bias);
}

at::Tensor LayerNorm::forward(const at::Tensor& x) const {
  return at::layer_norm(x, {x.size(-1)}, as_type_of(x, weight), as_type_of(x, bias), eps);
}

Embedding::Embedding(int64_t rows, int64_t channels) : weight(unloaded({rows, channels})) {}

void Embedding::visit(ParameterVisitor& v) { v("weight", weight); }

at::Tensor Embedding::forward(const at::Tensor& ids) const { return at::embedding(weight, ids); }

}  // namespace sdtune
