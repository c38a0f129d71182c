// Group norm (Wu & He 2018), alone or with the SiLU that follows it, over pictures with channels
// last on the CPU, in one pass for the moments and one for the rest. torch's own kernel for this
// layout loses a digit (1e-5 to 6e-5 in a VAE's latents); this one sums in double. It records no
// gradient: layers that train use torch's.
#pragma once

#include <ATen/core/Tensor.h>

namespace sdtune {

struct GroupNormCall {
  const at::Tensor& x;       // [B, C, H, W], fp32 or bf16, dense with channels last, on the CPU
  int64_t groups;            // divides C
  const at::Tensor& weight;  // [C]
  const at::Tensor& bias;    // [C]
  double eps;
  bool silu;
};

// Whether group_norm_channels_last() takes it: the layout and type above, and no gradient asked
// for. Not what lies both ways, as pictures of one pixel do: those must give the same bits with
// and without a gradient, because checkpointed blocks run both ways.
bool takes_group_norm(const GroupNormCall& call);

// The result, of x's type and layout. Arithmetic is fp32 over moments in double. The same bits for
// every number of threads.
at::Tensor group_norm_channels_last(const GroupNormCall& call);

}  // namespace sdtune
