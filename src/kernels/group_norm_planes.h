// Group norm (Wu & He 2018), alone or with the SiLU that follows it, over contiguous pictures on
// the CPU, with its gradient: what the U-Net trains with. Of the pair only the input is kept for
// the backward pass, where torch's keep the norm's result too. Channels last is group_norm.h's.
#pragma once

#include "kernels/group_norm.h"

namespace sdtune {

// Whether group_norm_planes() takes it: x dense and contiguous, fp32 or bf16, on the CPU, and
// weight and bias of either type.
bool takes_group_norm_planes(const GroupNormCall& call);

// The result, of x's type. Arithmetic is fp32, sums are double. Differentiable once in x, weight
// and bias: a second derivative throws Error. The same bits for every number of threads.
at::Tensor group_norm_planes(const GroupNormCall& call);

}  // namespace sdtune
