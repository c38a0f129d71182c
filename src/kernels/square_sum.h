// The sum of squares over many tensors in one pass, for the joint norm of gradients: summed in
// double, and the same bits for any number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace sdtune {

// Whether all are on the CPU and fp32, bf16 or fp16.
bool takes_square_sum(const std::vector<at::Tensor>& tensors);

// Of any shapes and layouts. Not finite where and only where an element is not.
double square_sum(const std::vector<at::Tensor>& tensors);

// The same where all are on one CUDA device, which is not waited for. There is at least one.
bool takes_square_sum_on_device(const std::vector<at::Tensor>& tensors);
// [] fp64 on their device, the same bits for the same sizes. Also the operator sdtune::square_sum,
// which only CUDA has.
at::Tensor square_sum_on_device(const std::vector<at::Tensor>& tensors);

}  // namespace sdtune
