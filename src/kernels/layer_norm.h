// Layer norm (Ba, Kiros & Hinton 2016) over the last dimension on the CPU, with its gradient, in
// one pass over each row that stays in the processor's cache. Only the input is kept for the
// backward pass. Not for CUDA, where torch's is as good.
#pragma once

#include <ATen/core/Tensor.h>

namespace sdtune {

struct LayerNormCall {
  const at::Tensor& x;       // [..., C]
  const at::Tensor& weight;  // [C]
  const at::Tensor& bias;    // [C]
  double eps;
};

// Whether layer_norm() takes it: x contiguous, all of them fp32 or bf16 on the CPU.
bool takes_layer_norm(const LayerNormCall& call);

// The result, of x's type. Arithmetic is fp32. Differentiable once in x, weight and bias: a second
// derivative throws Error. The same bits for every number of threads.
at::Tensor layer_norm(const LayerNormCall& call);

}  // namespace sdtune
