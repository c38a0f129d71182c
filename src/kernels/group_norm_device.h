// Group norm (Wu & He 2018), alone or with the SiLU that follows it, on CUDA with its gradient, in
// either layout: torch's turns channels last over to contiguous and back. Of the pair only the
// input is kept for the backward pass, where torch's keep the norm's result too.
#pragma once

#include "kernels/group_norm.h"

namespace sdtune {

// Whether group_norm_on_device() takes it: x on CUDA, [B, C, …], not empty; x, weight and bias each
// fp32, bf16 or fp16.
bool takes_group_norm_on_device(const GroupNormCall& call);

// The result, of x's type and, where that is contiguous or with channels last, its layout;
// contiguous for others. Arithmetic is fp32 over Welford's moments, whose parts are joined in an
// order that the shape alone gives: equal runs have equal bits. Differentiable once in x, weight
// and bias: a second derivative throws Error. Also the operators sdtune::group_norm and
// sdtune::group_norm_backward, which only CUDA has.
at::Tensor group_norm_on_device(const GroupNormCall& call);

}  // namespace sdtune
