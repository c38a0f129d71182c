// Block-wise 8-bit states on the CPU, for a range of blocks: pointers and sizes, no torch. One pass
// reads the states of a block, applies the rule and writes them back. Not threaded:
// optimizer_8bit.cc splits the blocks.
#pragma once

#include "kernels/cpu_loops.h"
#include "kernels/memory_order.h"
#include "kernels/update_8bit.h"

namespace sdtune {

// A state of `count` elements: count codes and blocks_8bit(count) scales.
struct State8bit {
  uint8_t* codes;
  float* absmax;
};

struct Update8bitJob {
  Rule8bit rule;
  Coefficients8bit coefficients;
  MemoryOrder order;  // of weight and grad; states are contiguous
  float* weight;      // [count]
  const float* grad;  // [count]
  // bf16 in place of those, where set; weights are stored by stochastic rounding with the key.
  BFloat16Bits* narrow_weight;
  const BFloat16Bits* narrow_grad;
  uint64_t rounding_key;
  // A gradient counts as these times what it is; nothing changes where that is not finite.
  float gradient_scale;
  const float* device_scale;  // [1], or null, which is 1
  State8bit states[kMostStates8bit];
  float* plain[kMostStates8bit];  // [count]: fp32 states in place of those, where the first is set
  int64_t count;
};

SDTUNE_ON_BOTH float gradient_scale_of(const Update8bitJob& job) {
  return job.device_scale == nullptr ? job.gradient_scale : job.gradient_scale * *job.device_scale;
}

void update_8bit_cpu(const Update8bitJob& job, int64_t first_block, int64_t end_block);

// x: [count]. The scale of a block is its largest magnitude; codes are the nearest to x / scale.
void quantize_8bit_cpu(const float* x, int64_t count, bool is_signed, const State8bit& out);
void dequantize_8bit_cpu(const State8bit& state, int64_t count, bool is_signed, float* out);

}  // namespace sdtune
