// Attention, softmax(q·kᵀ / sqrt(width))·v, whose blocks fit the caches for the heads of Stable
// Diffusion (40 to 160 numbers wide, and the VAE's 512) in fp32 on a CPU with AVX2 or more.
// Elsewhere it is torch's. What is kept for the backward pass is as with torch's: q, k, v, the
// result, and one number for each query.
#pragma once

#include <ATen/core/Tensor.h>

namespace sdtune {

// Whether attention() of these runs by loops of its own.
bool has_own_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

// [B, heads, queries, width], [B, heads, keys, width] twice -> [B, heads, queries, width], which
// lies as [B, queries, heads, width] where the loops are its own. The same bits for any number of
// threads. A second derivative throws Error there. Shapes that do not go together are torch's to
// refuse.
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

}  // namespace sdtune
