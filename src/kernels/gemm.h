// gemm_cpu.h's product by all of torch's threads, and over tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/gemm_cpu.h"

namespace sdtune {

// The same bits for any number of threads.
void gemm(const GemmCall& call);

// a·b of fp32 matrices on the CPU, each contiguous or the transpose of what is: [rows, depth],
// [depth, columns] -> [rows, columns]. `bias` [rows], which may be undefined, is added to each
// column.
at::Tensor gemm(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias = {});

// Whether loops over floats by pointers and steps can take it.
bool is_float_on_cpu(const at::Tensor& t);

// Such a matrix as gemm_cpu() takes it.
StridedMatrix<const float> strided(const at::Tensor& matrix);

}  // namespace sdtune
