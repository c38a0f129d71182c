#include "kernels/conv2d.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/system.h"
#include "kernels/conv2d_ways.h"
#include "kernels/gemm_cpu.h"
#include "kernels/gradient_recording.h"
#include "kernels/recorded.h"

namespace sdtune {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kOperator = "sdtune::conv2d";
constexpr const char* kBackwardOperator = "sdtune::conv2d_backward";
constexpr const char* kStrideKey = "stride";
constexpr const char* kPaddingKey = "padding";
constexpr const char* kInputWayKey = "input_way";
constexpr const char* kWeightWayKey = "weight_way";
constexpr const char* kHasBiasKey = "has_bias";

// Where the figures of RESULTS.md cross, in channels of the narrower side and pixels of the result.
constexpr int64_t kManyChannels = 128;       // with fewer, torch's ways are the fastest
constexpr int64_t kPixelsForWinograd = 192;  // from here on
constexpr int64_t kPixelsForColumns = 256;   // up to here
constexpr int64_t kManyChannelsInBFloat16 = 256;
constexpr int64_t kFewPixelsInBFloat16 = 96;  // up to here columns win
constexpr int64_t kPixelsInBFloat16 = 256;    // the same for the gradient of the weight

// Whether columns can take it. Channels last stays with torch, which keeps that layout.
bool takes_columns(const Conv2dCall& call) {
  const at::Tensor &x = call.x, &weight = call.weight;
  if (!x.device().is_cpu() || x.dim() != 4 || weight.dim() != 4) return false;
  const auto type = x.scalar_type();
  if (call.bias.defined() &&
      (call.bias.scalar_type() != type || call.bias.numel() != weight.size(0))) {
    return false;
  }
  const int64_t kernel = weight.size(2);
  const int64_t least = kernel - 2 * call.padding;
  return (type == at::kFloat || type == at::kBFloat16) && weight.scalar_type() == type &&
         weight.is_contiguous() && weight.size(1) == x.size(1) && weight.size(3) == kernel &&
         x.numel() > 0 && weight.numel() > 0 && x.size(2) >= least && x.size(3) >= least &&
         (x.is_contiguous() || !x.is_contiguous(at::MemoryFormat::ChannelsLast));
}

Conv2dSizes sizes_of(const Conv2dCall& call) {
  return {call.x.size(0), call.weight.size(1), call.weight.size(0),
          call.x.size(2), call.x.size(3),      call.weight.size(2),
          call.stride,    call.padding,        call.x.scalar_type()};
}

bool takes_winograd(const Conv2dSizes& sizes) {
  return sizes.type == at::kFloat && sizes.kernel == 3 && sizes.stride == 1 && sizes.padding == 1;
}

Conv2dWay possible(const Conv2dCall& call, Conv2dWay way) {
  if (way == Conv2dWay::kColumns && takes_columns(call)) return way;
  if (way == Conv2dWay::kWinograd && takes_columns(call) && takes_winograd(sizes_of(call))) {
    return way;
  }
  return Conv2dWay::kTorch;
}

at::Tensor result_of(const Conv2dCall& call, Conv2dWay way) {
  if (way == Conv2dWay::kTorch) {
    return at::conv2d(call.x, call.weight, call.bias, call.stride, call.padding);
  }
  const at::Tensor x = call.x.contiguous();
  const Conv2dCall dense = {x, call.weight, call.bias, call.stride, call.padding};
  return recorded(kOperator, {x, call.weight}, [&] {
    return way == Conv2dWay::kWinograd ? conv2d_by_winograd(dense) : conv2d_by_columns(dense);
  });
}

at::Tensor input_gradient_of(const Conv2dBackward& call, Conv2dWay way) {
  return recorded(kBackwardOperator, {call.grad, call.x, call.weight}, [&] {
    return way == Conv2dWay::kWinograd ? conv2d_input_gradient_by_winograd(call)
                                       : conv2d_input_gradient_by_columns(call);
  });
}

at::Tensor weight_gradient_of(const Conv2dBackward& call, Conv2dWay way) {
  return recorded(kBackwardOperator, {call.grad, call.x, call.weight}, [&] {
    return way == Conv2dWay::kWinograd ? conv2d_weight_gradient_by_winograd(call)
                                       : conv2d_weight_gradient_by_columns(call);
  });
}

// Which of the gradients of x, weight and bias are asked for.
using Mask = std::array<bool, 3>;

variable_list gradients_of(const Conv2dBackward& call, const Conv2dWays& ways, const Mask& asked) {
  variable_list gradients(3);
  Mask rest = asked;  // what is torch's
  if (asked[0] && ways.input_gradient != Conv2dWay::kTorch) {
    gradients[0] = input_gradient_of(call, ways.input_gradient);
    rest[0] = false;
  }
  if (asked[1] && ways.weight_gradient != Conv2dWay::kTorch) {
    gradients[1] = weight_gradient_of(call, ways.weight_gradient);
    rest[1] = false;
  }
  if (asked[2] && !rest[1]) {
    gradients[2] = call.grad.sum({0, 2, 3});
    rest[2] = false;
  }
  if (rest == Mask{}) return gradients;
  const int64_t bias_size = call.weight.size(0);
  const auto by_torch = at::convolution_backward(
      call.grad, call.x, call.weight, at::IntArrayRef(bias_size), {call.stride, call.stride},
      {call.padding, call.padding}, {1, 1}, /*transposed=*/false, {0, 0}, /*groups=*/1, rest);
  if (rest[0]) gradients[0] = std::get<0>(by_torch);
  if (rest[1]) gradients[1] = std::get<1>(by_torch);
  if (rest[2]) gradients[2] = std::get<2>(by_torch);
  return gradients;
}

// What autograd carries beside tensors.
struct Plan {
  int64_t stride, padding;
  Conv2dWays ways;
};

struct Conv2dFunction : torch::autograd::Function<Conv2dFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const Plan& plan) {
    context->save_for_backward({x, weight});
    auto& kept = context->saved_data;
    kept[kStrideKey] = plan.stride;
    kept[kPaddingKey] = plan.padding;
    kept[kInputWayKey] = static_cast<int64_t>(plan.ways.input_gradient);
    kept[kWeightWayKey] = static_cast<int64_t>(plan.ways.weight_gradient);
    kept[kHasBiasKey] = bias.has_value();
    return result_of({x, weight, bias.value_or(at::Tensor()), plan.stride, plan.padding},
                     plan.ways.result);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    refuse_second_derivative("this convolution", kOperator, {grads[0], saved[0], saved[1]});
    auto& kept = context->saved_data;
    const Mask mask = {context->needs_input_grad(0), context->needs_input_grad(1),
                       kept[kHasBiasKey].toBool() && context->needs_input_grad(2)};
    const auto way = [&](const char* key) { return static_cast<Conv2dWay>(kept[key].toInt()); };
    const Conv2dWays ways = {.input_gradient = way(kInputWayKey),
                             .weight_gradient = way(kWeightWayKey)};
    variable_list gradients = gradients_of({grads[0].contiguous(), saved[0].contiguous(), saved[1],
                                            kept[kStrideKey].toInt(), kept[kPaddingKey].toInt()},
                                           ways, mask);
    gradients.emplace_back();  // of the plan
    return gradients;
  }
};

int64_t narrower_side(const Conv2dSizes& sizes) { return std::min(sizes.in, sizes.out); }

Conv2dWays fastest_in_float(const Conv2dSizes& sizes) {
  constexpr Conv2dWays kByColumns = {Conv2dWay::kColumns, Conv2dWay::kColumns, Conv2dWay::kColumns};
  if (!gemm_is_fast() || narrower_side(sizes) < kManyChannels) return {};
  const int64_t pixels = sizes.result_pixels();
  if (takes_winograd(sizes) && pixels >= kPixelsForWinograd) {
    return {Conv2dWay::kWinograd, Conv2dWay::kWinograd, Conv2dWay::kWinograd};
  }
  // A kernel of one tap has no columns to make.
  const bool is_plain_product = sizes.kernel == 1 && sizes.stride == 1;
  if (is_plain_product || pixels <= kPixelsForColumns) return kByColumns;
  return {.weight_gradient = Conv2dWay::kColumns};
}

Conv2dWays fastest_in_bfloat16(const Conv2dSizes& sizes) {
  if (!processor_computes_bf16() || narrower_side(sizes) < kManyChannelsInBFloat16) return {};
  const int64_t pixels = sizes.result_pixels();
  Conv2dWays ways;
  if (pixels <= kFewPixelsInBFloat16) ways.result = ways.input_gradient = Conv2dWay::kColumns;
  if (pixels <= kPixelsInBFloat16) ways.weight_gradient = Conv2dWay::kColumns;
  return ways;
}

}  // namespace

int64_t Conv2dSizes::result_pixels() const {
  const auto side = [&](int64_t size) { return (size + 2 * padding - kernel) / stride + 1; };
  return batch * side(height) * side(width);
}

Conv2dWays fastest_ways(const Conv2dCall& call) {
  return takes_columns(call) ? fastest_ways(sizes_of(call)) : Conv2dWays();
}

Conv2dWays fastest_ways(const Conv2dSizes& sizes) {
  if (sizes.type == at::kFloat) return fastest_in_float(sizes);
  return sizes.type == at::kBFloat16 ? fastest_in_bfloat16(sizes) : Conv2dWays();
}

bool has_fast_planes(at::ScalarType type, at::Device device) {
  return type == at::kFloat && (device.is_cuda() || gemm_is_fast());
}

at::Tensor conv2d(const Conv2dCall& call) { return conv2d(call, fastest_ways(call)); }

at::Tensor conv2d(const Conv2dCall& call, const Conv2dWays& wanted) {
  const Conv2dWays ways = {possible(call, wanted.result), possible(call, wanted.input_gradient),
                           possible(call, wanted.weight_gradient)};
  const bool has_own_gradient =
      ways.input_gradient != Conv2dWay::kTorch || ways.weight_gradient != Conv2dWay::kTorch;
  const bool by_torch = ways.result == Conv2dWay::kTorch && !has_own_gradient;
  if (by_torch || !is_recorded({call.x, call.weight, call.bias}))
    return result_of(call, ways.result);
  const auto bias = call.bias.defined() ? std::optional(call.bias) : std::nullopt;
  return Conv2dFunction::apply(call.x, call.weight, bias, Plan{call.stride, call.padding, ways});
}

}  // namespace sdtune
