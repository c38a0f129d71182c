// A linear layer on the CPU whose three products (result, gradient of the input, gradient of the
// weight) run by the way that was measured as the faster for its shape: torch's (MKL) or gemm.h's.
// The choice is a table, never a timing, so that a resumed run gives the same bytes. Other devices
// and types than fp32 get torch's.
#pragma once

#include <ATen/core/Tensor.h>

namespace sdtune {

struct LinearCall {
  const at::Tensor& x;       // [..., in]
  const at::Tensor& weight;  // [out, in]
  const at::Tensor& bias;    // [out], or undefined
};

enum class LinearWay : int64_t { kTorch, kGemm };

// The faster way as benchmarks/linear_bench.cc found it (RESULTS.md).
LinearWay fastest_linear_way(const LinearCall& call);

// [..., out]. For the backward pass x is kept where the weight has a gradient, and the weight where
// x has one. Where gemm.h's way is taken, a second derivative throws Error.
at::Tensor linear(const LinearCall& call);

// The same by a way that is told: for the benchmark and the tests. What gemm.h cannot take is
// torch's.
at::Tensor linear(const LinearCall& call, LinearWay wanted);

}  // namespace sdtune
