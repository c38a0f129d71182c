// What an operator of torch's dispatcher (or of ours) is for, and how much arithmetic a call of it
// stands for. Names alone decide, so a new operator of src/kernels is found by what its name holds.
#pragma once

#include <ATen/core/ivalue.h>

#include <string_view>
#include <vector>

namespace sdtune {

enum class OperatorKind {
  kConvolution,
  kConvolutionBackward,
  kProduct,
  kAttention,
  kGroupNorm,
  kLayerNorm,
  kActivation,
  kAddition,
  kSum,
  kCopy,
  kFill,
  kOptimizer,
  kClip,
  kOther  // what has no kind of its own, or merely calls others
};

const char* name_of(OperatorKind kind);

OperatorKind kind_of(std::string_view operator_name);

// The arithmetic of one call, counted as 2 for each multiplication with its addition. Convolutions,
// products and attention count; the rest is 0. Attention's backward pass counts without what it
// computes again.
class CallWork {
 public:
  // With the arguments of the call. Convolutions take (input, weight, ...), backward (gradient,
  // input, weight, ...), as torch's own.
  CallWork(std::string_view operator_name, c10::ArrayRef<const c10::IValue> inputs);
  double flops(const std::vector<c10::IValue>& outputs) const;

 private:
  enum class Per { kNothing, kCall, kElement, kGradient };
  Per per_ = Per::kNothing;
  double unit_ = 0;
};

}  // namespace sdtune
