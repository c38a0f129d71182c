#include "kernels/layer_norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "kernels/layer_norm_cpu.h"
#include "kernels/norm_function.h"

namespace sdtune {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Shape {
  explicit Shape(const at::Tensor& x) : width(x.size(-1)), rows(x.numel() / width) {}
  int64_t width, rows;

  // Rows whose part of the parameters' gradients is summed apart before the parts are joined in
  // order, so that sums do not depend on the number of threads.
  int64_t rows_per_part() const { return std::max<int64_t>(16, (rows + 63) / 64); }
  int64_t parts() const { return (rows + rows_per_part() - 1) / rows_per_part(); }
};

at::Tensor forward_of(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double eps) {
  const Shape shape(x);
  at::Tensor out = at::empty_like(x);
  const std::vector<float> scale = norm_values(weight), shift = norm_values(bias);
  with_norm_type(x, [&]<class T>(T*) {
    const T* from = static_cast<const T*>(x.const_data_ptr());
    T* to = static_cast<T*>(out.mutable_data_ptr());
    const int64_t grain = std::max<int64_t>(1, 16384 / shape.width);
    at::parallel_for(0, shape.rows, grain, [&](int64_t begin, int64_t end) {
      const int64_t at = begin * shape.width;
      run_rows(LayerNormForward<T>{from + at, to + at, scale.data(), shift.data(), end - begin,
                                   shape.width, static_cast<float>(eps)});
    });
  });
  return out;
}

struct Gradients {
  at::Tensor x;
  at::Tensor weight, bias;  // [C], fp32
};

Gradients backward_of(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& weight,
                      double eps) {
  const Shape shape(x);
  const at::Tensor dense = grad.to(x.scalar_type()).contiguous();
  const at::Tensor grad_x = at::empty_like(x);
  const std::vector<float> scale = norm_values(weight);
  at::Tensor parts = at::zeros({2, shape.parts(), shape.width}, at::kFloat);
  auto* sums = parts.mutable_data_ptr<float>();
  with_norm_type(x, [&]<class T>(T*) {
    const T* from = static_cast<const T*>(dense.const_data_ptr());
    const T* values = static_cast<const T*>(x.const_data_ptr());
    T* to = static_cast<T*>(grad_x.mutable_data_ptr());
    at::parallel_for(0, shape.parts(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        const int64_t first = part * shape.rows_per_part();
        const int64_t at = first * shape.width;
        run_rows(LayerNormBackward<T>{values + at, from + at, to + at, scale.data(),
                                      sums + part * shape.width,
                                      sums + (shape.parts() + part) * shape.width,
                                      std::min(shape.rows_per_part(), shape.rows - first),
                                      shape.width, static_cast<float>(eps)});
      }
    });
  });
  return {grad_x, parts[0].sum(0), parts[1].sum(0)};
}

class LayerNormFunction : public torch::autograd::Function<LayerNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, double eps) {
    context->save_for_backward({x, weight, bias});
    context->saved_data["eps"] = eps;
    return forward_of(x, weight, bias, eps);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const variable_list saved = context->get_saved_variables();
    refuse_second_derivative(grads[0], "layer norm");
    const Gradients made =
        backward_of(grads[0], saved[0], saved[1], context->saved_data["eps"].toDouble());
    return {made.x, made.weight.to(saved[1].scalar_type()), made.bias.to(saved[2].scalar_type()),
            at::Tensor()};
  }
};

}  // namespace

bool takes_layer_norm(const LayerNormCall& call) {
  return is_norm_type(call.x) && is_norm_type(call.weight) && is_norm_type(call.bias) &&
         call.x.dim() >= 1 && call.x.numel() > 0 && call.x.is_contiguous();
}

at::Tensor layer_norm(const LayerNormCall& call) {
  return LayerNormFunction::apply(call.x, call.weight, call.bias, call.eps);
}

}  // namespace sdtune
