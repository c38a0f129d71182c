#include "kernels/linear.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/gemm.h"
#include "kernels/gradient_recording.h"
#include "kernels/recorded.h"

namespace sdtune {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kOperator = "sdtune::linear";
constexpr const char* kHasBiasKey = "has_bias";

// From here on all three products are faster by gemm.h. Fewer rows were measured as one row only,
// which torch multiplies as a vector.
constexpr int64_t kManyRows = 16;

bool takes_gemm(const LinearCall& call) {
  const at::Tensor &x = call.x, &weight = call.weight, &bias = call.bias;
  return is_float_on_cpu(x) && is_float_on_cpu(weight) && x.dim() > 0 && weight.dim() == 2 &&
         weight.is_contiguous() && x.size(-1) == weight.size(1) && x.numel() > 0 &&
         weight.numel() > 0 &&
         (!bias.defined() ||
          (is_float_on_cpu(bias) && bias.dim() == 1 && bias.size(0) == weight.size(0)));
}

// [..., size] to [rows, size], each row side by side.
at::Tensor rows_of(const at::Tensor& t) {
  const at::Tensor rows = t.reshape({-1, t.size(-1)});
  return rows.stride(1) == 1 ? rows : rows.contiguous();
}

// The weight passes by where it lies, and the input, which is smaller, is laid out: the result is
// computed as [out, rows].
at::Tensor result_by_gemm(const LinearCall& call) {
  const at::Tensor rows = rows_of(call.x);
  const int64_t out = call.weight.size(0);
  auto shape = call.x.sizes().vec();
  shape.back() = out;
  const at::Tensor result = at::empty(shape, call.x.options());
  const at::Tensor bias = call.bias.defined() ? call.bias.contiguous() : call.bias;
  gemm({strided(call.weight),
        strided(rows.t()),
        {result.mutable_data_ptr<float>(), 1, out},
        out,
        rows.size(0),
        call.weight.size(1),
        bias.defined() ? bias.const_data_ptr<float>() : nullptr});
  return result;
}

at::Tensor computed(const LinearCall& call) {
  return recorded(kOperator, {call.x, call.weight}, [&] { return result_by_gemm(call); });
}

// As a product it takes half of sum()'s time where rows are wide.
at::Tensor sum_of_rows(const at::Tensor& rows) {
  return recorded("sdtune::sum", {rows}, [&] {
    return at::mm(at::ones({1, rows.size(0)}, rows.options()), rows).squeeze(0);
  });
}

struct LinearFunction : torch::autograd::Function<LinearFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias) {
    // What only a frozen factor's gradient would need is not kept.
    const at::Tensor none;
    context->save_for_backward(
        {weight.requires_grad() ? x : none, x.requires_grad() ? weight : none});
    context->saved_data[kHasBiasKey] = bias.has_value();
    return computed({x, weight, bias.value_or(at::Tensor())});
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    refuse_second_derivative("this linear layer", kOperator, {grads[0], saved[0], saved[1]});
    const at::Tensor &x = saved[0], &weight = saved[1], grad = rows_of(grads[0]);
    variable_list gradients(3);  // of x, weight and bias
    if (context->needs_input_grad(0)) {
      auto shape = grads[0].sizes().vec();
      shape.back() = weight.size(1);
      gradients[0] = gemm(grad, weight).view(shape);
    }
    if (context->needs_input_grad(1)) gradients[1] = gemm(grad.t(), rows_of(x));
    if (context->saved_data[kHasBiasKey].toBool() && context->needs_input_grad(2)) {
      gradients[2] = sum_of_rows(grad);
    }
    return gradients;
  }
};

}  // namespace

LinearWay fastest_linear_way(const LinearCall& call) {
  if (!gemm_is_fast() || !takes_gemm(call)) return LinearWay::kTorch;
  const int64_t rows = call.x.numel() / call.weight.size(1);
  return rows < kManyRows ? LinearWay::kTorch : LinearWay::kGemm;
}

at::Tensor linear(const LinearCall& call) { return linear(call, fastest_linear_way(call)); }

at::Tensor linear(const LinearCall& call, LinearWay wanted) {
  if (wanted == LinearWay::kTorch || !takes_gemm(call)) {
    return at::linear(call.x, call.weight, call.bias);
  }
  if (!is_recorded({call.x, call.weight, call.bias})) return computed(call);
  const auto bias = call.bias.defined() ? std::optional(call.bias) : std::nullopt;
  return LinearFunction::apply(call.x, call.weight, bias);
}

}  // namespace sdtune
