// A convolution on the CPU whose three products (result, gradient of the input, gradient of the
// weight) run each by the way that was measured as the fastest for its shape and type: torch's own
// (oneDNN), or one GEMM over columns, or Winograd's. oneDNN runs three to fifteen times under the
// GEMM rate where the picture is small and the channels are many. The choice is a table, never a
// timing, so that a resumed run gives the same bytes. Other devices get torch's.
#pragma once

#include <ATen/core/Tensor.h>

namespace sdtune {

struct Conv2dCall {
  const at::Tensor& x;       // [B, in, H, W]
  const at::Tensor& weight;  // [out, in, k, k], of x's type
  const at::Tensor& bias;    // [out] of x's type, or undefined
  int64_t stride = 1;
  int64_t padding = 0;  // on all four sides
};

enum class Conv2dWay : int64_t {
  kTorch,
  kColumns,   // columns of what each tap sees, [in·k², B·H'·W'], and one GEMM; fp32 and bf16
  kWinograd,  // 2.25 times fewer multiplications; 3x3 kernels of stride and padding 1, fp32
};

struct Conv2dWays {
  Conv2dWay result = Conv2dWay::kTorch;
  Conv2dWay input_gradient = Conv2dWay::kTorch;
  Conv2dWay weight_gradient = Conv2dWay::kTorch;
};

// What a convolution on the CPU is asked for, without its tensors.
struct Conv2dSizes {
  int64_t batch, in, out;
  int64_t height, width;  // of the input
  int64_t kernel = 3;
  int64_t stride = 1;
  int64_t padding = 1;
  at::ScalarType type = at::kFloat;

  // Of all pictures of the result.
  int64_t result_pixels() const;
};

// The fastest ways as benchmarks/conv2d_bench.cc found them (RESULTS.md). Of the sizes: for dense
// NCHW tensors.
Conv2dWays fastest_ways(const Conv2dCall& call);
Conv2dWays fastest_ways(const Conv2dSizes& sizes);

// Elements of `sizes.type` that the largest of the products takes for as long as it runs, beside
// what it reads and what it makes: columns, or Winograd's tiles and kernels. 0 for torch's ways,
// whose memory is not known.
int64_t conv2d_workspace(const Conv2dSizes& sizes, const Conv2dWays& ways);

// Whether convolutions of the type are faster over contiguous pictures than torch's over those with
// channels last: of fp32 on a GPU, and on a CPU where there are ways of our own.
bool has_fast_planes(at::ScalarType type, at::Device device);

// [B, out, H', W']. Nothing but x and the weight is kept for the backward pass. Where a way other
// than torch's is taken, a second derivative throws Error.
at::Tensor conv2d(const Conv2dCall& call);

// The same by ways that are told: for the benchmark and the tests. A way that cannot take the
// shape, layout or type gives way to torch's.
at::Tensor conv2d(const Conv2dCall& call, const Conv2dWays& ways);

}  // namespace sdtune
