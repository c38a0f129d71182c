// Registers group norm's CUDA kernels with torch's dispatcher when libsdtune_cuda.so is opened. The
// operators' contracts and gradients are in the program itself (group_norm_device.cc).
#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <limits>

#include "kernels/cuda_element_of.h"
#include "kernels/group_norm_cuda.h"

namespace sdtune {

namespace {

using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

GroupNormShape shape_of(const at::Tensor& x, int64_t groups) {
  TORCH_CHECK(x.dim() >= 2 && x.numel() > 0, "sdtune::group_norm takes [B, C, …], not ", x.sizes());
  const bool channels_last =
      !x.is_contiguous() && x.dim() == 4 && x.is_contiguous(at::MemoryFormat::ChannelsLast);
  TORCH_CHECK(x.is_contiguous() || channels_last,
              "sdtune::group_norm takes what is contiguous or with channels last");
  TORCH_CHECK(groups > 0 && x.size(1) % groups == 0, "sdtune::group_norm cannot split ", x.size(1),
              " channels into ", groups, " groups");
  constexpr int64_t kMost = std::numeric_limits<int>::max();
  const int64_t pixels = x.numel() / (x.size(0) * x.size(1));
  const auto narrow = [](int64_t value) { return static_cast<int>(value); };
  const GroupNormShape shape{narrow(x.size(0)), narrow(x.size(1)), narrow(pixels), narrow(groups),
                             channels_last};
  TORCH_CHECK(
      x.size(0) * x.size(1) <= kMost && pixels <= kMost && group_norm_scratch(shape) <= kMost,
      "sdtune::group_norm counts its parts in 32 bits, too few for ", x.sizes());
  return shape;
}

void check_parameters(const at::Tensor& x, std::initializer_list<at::Tensor> parameters) {
  for (const at::Tensor& each : parameters) {
    TORCH_CHECK(each.scalar_type() == at::kFloat && each.is_contiguous() &&
                    each.numel() == x.size(1) && each.device() == x.device(),
                "sdtune::group_norm takes fp32 parameters, one for each channel");
  }
}

at::Tensor floats(int64_t count, const at::Tensor& beside) {
  return at::empty({count}, at::TensorOptions(at::kFloat).device(beside.device()));
}

Three group_norm_on_cuda(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                         int64_t groups, double eps, bool silu) {
  const GroupNormShape shape = shape_of(x, groups);
  check_parameters(x, {weight, bias});
  const c10::cuda::CUDAGuard guard(x.device());
  at::Tensor out = at::empty_like(x);
  const int64_t all_groups = x.size(0) * groups;
  at::Tensor mean = floats(all_groups, x), inverse = floats(all_groups, x);
  const at::Tensor scratch = floats(group_norm_scratch(shape), x);
  C10_CUDA_CHECK(launch_group_norm_forward({.element = cuda_element_of(x),
                                            .shape = shape,
                                            .x = x.const_data_ptr(),
                                            .out = out.mutable_data_ptr(),
                                            .weight = weight.const_data_ptr<float>(),
                                            .bias = bias.const_data_ptr<float>(),
                                            .eps = eps,
                                            .silu = silu,
                                            .mean = mean.mutable_data_ptr<float>(),
                                            .inverse = inverse.mutable_data_ptr<float>(),
                                            .scratch = scratch.mutable_data_ptr<float>()},
                                           c10::cuda::getCurrentCUDAStream()));
  return {out, mean, inverse};
}

Three group_norm_backward_on_cuda(const at::Tensor& grad, const at::Tensor& x,
                                  const at::Tensor& weight, const at::Tensor& bias,
                                  const at::Tensor& mean, const at::Tensor& inverse, bool silu) {
  const GroupNormShape shape = shape_of(x, mean.numel() / x.size(0));
  check_parameters(x, {weight, bias});
  // Not by strides, of which those of sizes of 1 may be any.
  const auto layout =
      shape.channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  TORCH_CHECK(grad.sizes() == x.sizes() && grad.is_contiguous(layout) &&
                  grad.scalar_type() == x.scalar_type() && grad.device() == x.device(),
              "sdtune::group_norm_backward takes a gradient that is laid out as x");
  TORCH_CHECK(mean.scalar_type() == at::kFloat && inverse.scalar_type() == at::kFloat &&
                  mean.numel() == inverse.numel() && mean.device() == x.device() &&
                  inverse.device() == x.device(),
              "sdtune::group_norm_backward takes sdtune::group_norm's moments");
  const c10::cuda::CUDAGuard guard(x.device());
  at::Tensor grad_x = at::empty_like(x);
  at::Tensor grad_weight = floats(x.size(1), x), grad_bias = floats(x.size(1), x);
  const at::Tensor scratch = floats(group_norm_scratch(shape), x);
  C10_CUDA_CHECK(launch_group_norm_backward({.element = cuda_element_of(x),
                                             .shape = shape,
                                             .grad = grad.const_data_ptr(),
                                             .x = x.const_data_ptr(),
                                             .grad_x = grad_x.mutable_data_ptr(),
                                             .weight = weight.const_data_ptr<float>(),
                                             .bias = bias.const_data_ptr<float>(),
                                             .mean = mean.const_data_ptr<float>(),
                                             .inverse = inverse.const_data_ptr<float>(),
                                             .silu = silu,
                                             .grad_weight = grad_weight.mutable_data_ptr<float>(),
                                             .grad_bias = grad_bias.mutable_data_ptr<float>(),
                                             .scratch = scratch.mutable_data_ptr<float>()},
                                            c10::cuda::getCurrentCUDAStream()));
  return {grad_x, grad_weight, grad_bias};
}

}  // namespace

TORCH_LIBRARY_IMPL(sdtune, CUDA, m) {
  m.impl("group_norm", group_norm_on_cuda);
  m.impl("group_norm_backward", group_norm_backward_on_cuda);
}

}  // namespace sdtune
