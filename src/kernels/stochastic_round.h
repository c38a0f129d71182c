// Storing fp32 values as bf16 without losing small updates: each value is rounded up or down with
// the probability of its place between the two neighbours, so that sums are right on average.
// Source: Gupta et al., "Deep learning with limited numerical precision", ICML 2015.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sdtune {

// out (bf16) takes the rounded values of `value` (fp32, same shape and device). The result is a
// function of the values, the key and the order of elements in memory alone: two keys give
// independent draws. Error for other types or shapes. Also the torch operator
// sdtune::stochastic_round_, on CPU and (after load_cuda()) on CUDA.
void store_rounded(const at::Tensor& out, const at::Tensor& value, uint64_t key);

}  // namespace sdtune
