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
constexpr const char* kInputWayKey = "input_way";
constexpr const char* kWeightWayKey = "weight_way";
constexpr const char* kHasBiasKey = "has_bias";

// From here on all three products are faster by gemm.h. Fewer rows were measured as one row only,
// which torch multiplies as a vector.
constexpr int64_t kManyRows = 16;

bool is_float_on_cpu(const at::Tensor& t) {
  return t.device().is_cpu() && t.scalar_type() == at::kFloat && t.layout() == at::kStrided;
}

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

at::Tensor result_of(const LinearCall& call, LinearWay way) {
  if (way == LinearWay::kTorch) return at::linear(call.x, call.weight, call.bias);
  return recorded(kOperator, {call.x, call.weight}, [&] { return result_by_gemm(call); });
}

at::Tensor product_of(const at::Tensor& a, const at::Tensor& b, LinearWay way) {
  return way == LinearWay::kGemm ? gemm(a, b) : at::mm(a, b);
}

// As a product it takes half of sum()'s time where rows are wide.
at::Tensor sum_of_rows(const at::Tensor& rows) {
  return recorded("sdtune::sum", {rows}, [&] {
    return at::mm(at::ones({1, rows.size(0)}, rows.options()), rows).squeeze(0);
  });
}

struct LinearFunction : torch::autograd::Function<LinearFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const LinearWays& ways) {
    // What only a frozen factor's gradient would need is not kept.
    const at::Tensor none;
    context->save_for_backward(
        {weight.requires_grad() ? x : none, x.requires_grad() ? weight : none});
    auto& kept = context->saved_data;
    kept[kInputWayKey] = static_cast<int64_t>(ways.input_gradient);
    kept[kWeightWayKey] = static_cast<int64_t>(ways.weight_gradient);
    kept[kHasBiasKey] = bias.has_value();
    return result_of({x, weight, bias.value_or(at::Tensor())}, ways.result);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    refuse_second_derivative("this linear layer", kOperator, {grads[0], saved[0], saved[1]});
    auto& kept = context->saved_data;
    const auto way = [&](const char* key) { return static_cast<LinearWay>(kept[key].toInt()); };
    const at::Tensor &x = saved[0], &weight = saved[1], grad = rows_of(grads[0]);
    variable_list gradients(4);  // of x, weight, bias and the ways
    if (context->needs_input_grad(0)) {
      auto shape = grads[0].sizes().vec();
      shape.back() = weight.size(1);
      gradients[0] = product_of(grad, weight, way(kInputWayKey)).view(shape);
    }
    if (context->needs_input_grad(1)) {
      gradients[1] = product_of(grad.t(), rows_of(x), way(kWeightWayKey));
    }
    if (kept[kHasBiasKey].toBool() && context->needs_input_grad(2))
      gradients[2] = sum_of_rows(grad);
    return gradients;
  }
};

}  // namespace

LinearWays fastest_linear_ways(const LinearCall& call) {
  if (!gemm_is_fast() || !takes_gemm(call)) return {};
  if (call.x.numel() / call.weight.size(1) < kManyRows) return {};
  return {LinearWay::kGemm, LinearWay::kGemm, LinearWay::kGemm};
}

at::Tensor linear(const LinearCall& call) { return linear(call, fastest_linear_ways(call)); }

at::Tensor linear(const LinearCall& call, const LinearWays& wanted) {
  const LinearWays ways = takes_gemm(call) ? wanted : LinearWays{};
  const bool has_own_gradient =
      ways.input_gradient != LinearWay::kTorch || ways.weight_gradient != LinearWay::kTorch;
  const bool by_torch = ways.result == LinearWay::kTorch && !has_own_gradient;
  if (by_torch || !is_recorded({call.x, call.weight, call.bias}))
    return result_of(call, ways.result);
  const auto bias = call.bias.defined() ? std::optional(call.bias) : std::nullopt;
  return LinearFunction::apply(call.x, call.weight, bias, ways);
}

}  // namespace sdtune
