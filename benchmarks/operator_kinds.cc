#include "operator_kinds.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <array>
#include <utility>

namespace sdtune {

namespace {

using Rule = std::pair<std::string_view, OperatorKind>;

// The first that a name holds counts.
constexpr Rule kHeld[] = {{"convolution_backward", OperatorKind::kConvolutionBackward},
                          {"conv2d_backward", OperatorKind::kConvolutionBackward},
                          {"conv2d", OperatorKind::kConvolution},
                          {"convolution", OperatorKind::kConvolution},
                          {"attention", OperatorKind::kAttention},
                          {"group_norm", OperatorKind::kGroupNorm},
                          {"layer_norm", OperatorKind::kLayerNorm},
                          {"geglu", OperatorKind::kActivation},
                          {"silu", OperatorKind::kActivation},
                          {"gelu", OperatorKind::kActivation},
                          {"adam", OperatorKind::kOptimizer},
                          {"8bit", OperatorKind::kOptimizer},
                          {"stochastic_round", OperatorKind::kOptimizer},
                          {"_foreach_", OperatorKind::kClip}};

// Whole names without what stands before "::".
constexpr Rule kNamed[] = {{"linear", OperatorKind::kProduct},
                           {"mm", OperatorKind::kProduct},
                           {"addmm", OperatorKind::kProduct},
                           {"bmm", OperatorKind::kProduct},
                           {"baddbmm", OperatorKind::kProduct},
                           {"matmul", OperatorKind::kProduct},
                           {"addmm_", OperatorKind::kProduct},
                           {"add", OperatorKind::kAddition},
                           {"add_", OperatorKind::kAddition},
                           {"sum", OperatorKind::kSum},
                           {"to", OperatorKind::kCopy},
                           {"_to_copy", OperatorKind::kCopy},
                           {"copy_", OperatorKind::kCopy},
                           {"contiguous", OperatorKind::kCopy},
                           {"clone", OperatorKind::kCopy},
                           {"cat", OperatorKind::kCopy},
                           {"fill_", OperatorKind::kFill},
                           {"zero_", OperatorKind::kFill},
                           {"zeros", OperatorKind::kFill},
                           {"zeros_like", OperatorKind::kFill},
                           {"slice_backward", OperatorKind::kFill}};

struct Tensors {
  c10::ArrayRef<const c10::IValue> values;

  // An undefined one where there is none.
  at::Tensor operator[](size_t index) const {
    return index < values.size() && values[index].isTensor() ? values[index].toTensor()
                                                             : at::Tensor();
  }
};

double count(const at::Tensor& tensor) { return static_cast<double>(tensor.numel()); }

// Multiplications, with their additions, for one element of a convolution's result.
double taps(const at::Tensor& weight) {
  return 2 * count(weight) / static_cast<double>(weight.size(0));
}

}  // namespace

const char* name_of(OperatorKind kind) {
  static constexpr std::array kNames = {"convolution",
                                        "convolution backward",
                                        "matrix products",
                                        "attention",
                                        "group norm",
                                        "layer norm",
                                        "activations",
                                        "additions",
                                        "sums",
                                        "copies",
                                        "fills",
                                        "optimizer",
                                        "clipping",
                                        "other operators"};
  return kNames.at(static_cast<size_t>(kind));
}

OperatorKind kind_of(std::string_view name) {
  const size_t colons = name.find("::");
  const std::string_view space = name.substr(0, colons);
  // The backward engine's own entries bear the names of what they call.
  if (space != "aten" && space != "sdtune") return OperatorKind::kOther;
  const auto held = std::find_if(std::begin(kHeld), std::end(kHeld), [&](const Rule& rule) {
    return name.find(rule.first) != std::string_view::npos;
  });
  if (held != std::end(kHeld)) return held->second;
  const auto named = std::find_if(std::begin(kNamed), std::end(kNamed), [&](const Rule& rule) {
    return name.substr(colons + 2) == rule.first;
  });
  return named != std::end(kNamed) ? named->second : OperatorKind::kOther;
}

CallWork::CallWork(std::string_view name, c10::ArrayRef<const c10::IValue> inputs) {
  const Tensors tensors{inputs};
  const OperatorKind kind = kind_of(name);
  const bool backward = name.find("backward") != std::string_view::npos;
  if (kind == OperatorKind::kConvolution && tensors[1].defined() && tensors[1].dim() == 4) {
    per_ = Per::kElement;
    unit_ = taps(tensors[1]);
  } else if (kind == OperatorKind::kConvolutionBackward && tensors[2].defined()) {
    per_ = Per::kGradient;
    unit_ = count(tensors[0]) * taps(tensors[2]);
  } else if (kind == OperatorKind::kProduct) {
    // Those that add begin with what is added to.
    const at::Tensor left = tensors[name.find("add") != std::string_view::npos ? 1 : 0];
    per_ = Per::kElement;
    unit_ = left.defined() && left.dim() > 0 ? 2 * static_cast<double>(left.size(-1)) : 0;
  } else if (kind == OperatorKind::kAttention) {
    const at::Tensor queries = tensors[backward ? 1 : 0], keys = tensors[backward ? 2 : 1];
    if (!queries.defined() || !keys.defined()) return;
    per_ = Per::kCall;
    unit_ = (backward ? 8 : 4) * count(queries) * static_cast<double>(keys.size(-2));
  }
}

double CallWork::flops(const std::vector<c10::IValue>& outputs) const {
  const Tensors tensors{{outputs.data(), outputs.size()}};
  if (per_ == Per::kElement) return tensors[0].defined() ? unit_ * count(tensors[0]) : 0;
  if (per_ != Per::kGradient) return unit_;
  double gradients = 0;  // of the input and of the weight, as they were asked for
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (tensors[i].defined() && tensors[i].dim() == 4) ++gradients;
  }
  return unit_ * gradients;
}

}  // namespace sdtune
