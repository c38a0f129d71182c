// The CPU's loops of attention in fp32 for one head, without the matrix of all weights: a block of
// it at a time, and the sums of the softmax kept up to date. Source: Dao et al., "FlashAttention",
// 2022; backward as in its appendix B. Pointers and steps, no torch; not threaded: attention.cc
// splits the heads.
#pragma once

#include <cstdint>

#include "kernels/gemm_cpu.h"

namespace sdtune {

// `width` numbers side by side for each row, `step` numbers from one row to the next.
template <class T>
struct HeadRows {
  T* data;
  int64_t step;
};

struct HeadSizes {
  int64_t queries, keys, width;
  float scale;  // of q·kᵀ
  GemmTile tile = fastest_gemm_tile();
};

// out = softmax(q·kᵀ·scale)·v, and for each query log Σ e^(q·k·scale).
struct AttentionForward {
  HeadSizes sizes;
  HeadRows<const float> q, k, v;
  HeadRows<float> out;
  float* log_sums;  // [queries]
};
void attention_forward_cpu(const AttentionForward& call, float* scratch);
int64_t attention_forward_scratch(const HeadSizes& sizes);  // floats

// Gradients of q, k and v from that of the result.
struct AttentionBackward {
  HeadSizes sizes;
  HeadRows<const float> grad, q, k, v, out;
  const float* log_sums;  // [queries]
  HeadRows<float> grad_q, grad_k, grad_v;
};
void attention_backward_cpu(const AttentionBackward& call, float* scratch);
int64_t attention_backward_scratch(const HeadSizes& sizes);  // floats

}  // namespace sdtune
