// A linear layer on the CPU whose three products (result, gradient of the input, gradient of the
// weight) run each by the way that was measured as the faster for its shape: torch's (MKL) or
// gemm.h's. The choice is a table, never a timing, so that a resumed run gives the same bytes.
// Other devices and types than fp32 get torch's.
#pragma once

#include <ATen/core/Tensor.h>

namespace sdtune {

struct LinearCall {
  const at::Tensor& x;       // [..., in]
  const at::Tensor& weight;  // [out, in]
  const at::Tensor& bias;    // [out], or undefined
};

enum class LinearWay : int64_t { kTorch, kGemm };

struct LinearWays {
  LinearWay result = LinearWay::kTorch;
  LinearWay input_gradient = LinearWay::kTorch;
  LinearWay weight_gradient = LinearWay::kTorch;
};

// The faster ways as benchmarks/linear_bench.cc found them (RESULTS.md).
LinearWays fastest_linear_ways(const LinearCall& call);

// [..., out]. For the backward pass x is kept where the weight has a gradient, and the weight where
// x has one. Where a way other than torch's is taken, a second derivative throws Error.
at::Tensor linear(const LinearCall& call);

// The same by ways that are told: for the benchmark and the tests. What gemm.h cannot take is
// torch's.
at::Tensor linear(const LinearCall& call, const LinearWays& ways);

}  // namespace sdtune
