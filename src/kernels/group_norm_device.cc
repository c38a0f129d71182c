#include "kernels/group_norm_device.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <tuple>

#include "kernels/gradient_recording.h"

namespace sdtune {

TORCH_LIBRARY_FRAGMENT(sdtune, m) {
  // Parameters are fp32; the results are of x's type, and the moments of each group.
  m.def(
      "group_norm(Tensor x, Tensor weight, Tensor bias, int groups, float eps, bool silu) -> "
      "(Tensor, Tensor mean, Tensor inverse)");
  m.def(
      "group_norm_backward(Tensor grad, Tensor x, Tensor weight, Tensor bias, Tensor mean, "
      "Tensor inverse, bool silu) -> (Tensor, Tensor, Tensor)");
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

bool is_taken_type(const at::Tensor& x) {
  const auto type = x.scalar_type();
  return type == at::kFloat || type == at::kBFloat16 || type == at::kHalf;
}

at::Tensor single(const at::Tensor& parameter) {
  return parameter.detach().to(at::kFloat).contiguous();
}

bool is_channels_last(const at::Tensor& x) {
  return !x.is_contiguous() && x.dim() == 4 && x.is_contiguous(at::MemoryFormat::ChannelsLast);
}

// In the layout of `like`, which is one of the two.
at::Tensor laid_out_as(const at::Tensor& x, const at::Tensor& like) {
  return x.contiguous(is_channels_last(like) ? at::MemoryFormat::ChannelsLast
                                             : at::MemoryFormat::Contiguous);
}

Three forward_of(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                 int64_t groups, double eps, bool silu) {
  using Signature =
      Three(const at::Tensor&, const at::Tensor&, const at::Tensor&, int64_t, double, bool);
  static const auto run =
      c10::Dispatcher::singleton().findSchemaOrThrow("sdtune::group_norm", "").typed<Signature>();
  return run.call(x, single(weight), single(bias), groups, eps, silu);
}

// saved: x, weight, bias, mean, inverse.
Three backward_of(const at::Tensor& grad, const variable_list& saved, bool silu) {
  using Signature = Three(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                          const at::Tensor&, const at::Tensor&, const at::Tensor&, bool);
  static const auto run = c10::Dispatcher::singleton()
                              .findSchemaOrThrow("sdtune::group_norm_backward", "")
                              .typed<Signature>();
  const at::Tensor& x = saved[0];
  return run.call(laid_out_as(grad.to(x.scalar_type()), x), x, single(saved[1]), single(saved[2]),
                  saved[3], saved[4], silu);
}

class GroupNormOnDevice : public torch::autograd::Function<GroupNormOnDevice> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, int64_t groups, double eps, bool silu) {
    const at::Tensor dense = laid_out_as(x, x);
    const auto [out, mean, inverse] = forward_of(dense, weight, bias, groups, eps, silu);
    context->save_for_backward({dense, weight, bias, mean, inverse});
    context->saved_data["silu"] = silu;
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const variable_list saved = context->get_saved_variables();
    refuse_second_derivative("group norm", "sdtune::group_norm", {grads[0]});
    const auto [x, weight, bias] =
        backward_of(grads[0], saved, context->saved_data["silu"].toBool());
    return {x,
            weight.to(saved[1].scalar_type()),
            bias.to(saved[2].scalar_type()),
            at::Tensor(),
            at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

bool takes_group_norm_on_device(const GroupNormCall& call) {
  return call.x.is_cuda() && call.x.dim() >= 2 && call.x.numel() > 0 && is_taken_type(call.x) &&
         is_taken_type(call.weight) && is_taken_type(call.bias);
}

at::Tensor group_norm_on_device(const GroupNormCall& call) {
  return GroupNormOnDevice::apply(call.x, call.weight, call.bias, call.groups, call.eps, call.silu);
}

}  // namespace sdtune
