#include "kernels/update_8bit_cpu.h"

#include <cmath>

#include "kernels/rounding_bits.h"

namespace sdtune {

namespace {

SDTUNE_INLINE int elements_in(int64_t block, int64_t count) {
  const int64_t left = count - block * kBlock8bit;
  return static_cast<int>(left < kBlock8bit ? left : kBlock8bit);
}

SDTUNE_INLINE void dequantize_block(const uint8_t* __restrict codes, float absmax,
                                    const DynamicCode& code, float* __restrict out, int count) {
  const float* __restrict values = code.values.data();
  for (int i = 0; i < count; ++i) out[i] = values[codes[i]] * absmax;
}

SDTUNE_INLINE float quantize_block(const float* __restrict x, const DynamicCode& code,
                                   uint8_t* __restrict codes, int count) {
  // Magnitudes are compared as integers, whose largest one GCC finds with vectors; a NaN wins.
  uint32_t largest = 0;
  for (int i = 0; i < count; ++i) {
    const uint32_t magnitude = bits_as<uint32_t>(x[i]) & 0x7FFFFFFF;
    largest = magnitude > largest ? magnitude : largest;
  }
  const float absmax = bits_as<float>(largest);
  const float inverse = absmax == 0 ? 0.0F : 1.0F / absmax;
  const uint32_t* __restrict cells = code.cells.data();
  const auto zero = static_cast<int32_t>(code.zero);
  for (int i = 0; i < count; ++i) {
    const uint32_t signed_bits = bits_as<uint32_t>(x[i] * inverse);
    // Clamping also keeps infinities and NaN inside the table.
    uint32_t bits = signed_bits & 0x7FFFFFFF;
    bits = bits < DynamicCode::kLeastBits ? DynamicCode::kLeastBits : bits;
    bits = bits > DynamicCode::kMostBits ? DynamicCode::kMostBits : bits;
    const uint32_t cell = cells[(bits - DynamicCode::kLeastBits) >> 16];
    const auto rank = static_cast<int32_t>((cell + (bits & 0xFFFF)) >> 16);
    const int32_t below = zero - rank < 0 ? 0 : zero - rank;
    codes[i] = static_cast<uint8_t>(signed_bits >> 31 != 0 ? below : zero + rank);
  }
  return absmax;
}

// Elements from `start` on, times the scale.
template <class T>
SDTUNE_INLINE void gather(const T* __restrict from, const MemoryOrder& order, int64_t start,
                          float scale, float* __restrict to, int count) {
  if (order.plane == 1) {
    for (int i = 0; i < count; ++i) to[i] = scale * load(from[start + i]);
  } else {
    for (int i = 0; i < count; ++i) to[i] = scale * load(from[place_in_memory(order, start + i)]);
  }
}

template <class T>
SDTUNE_INLINE void scatter(const T* __restrict from, const MemoryOrder& order, int64_t start,
                           T* __restrict to, int count) {
  for (int i = 0; i < count; ++i) to[place_in_memory(order, start + i)] = from[i];
}

// The bits of store_rounded() in stochastic_round.h for contiguous weights.
SDTUNE_INLINE void store_rounded(const float* __restrict from, const Update8bitJob& job,
                                 int64_t start, int count) {
  BFloat16Bits rounded[kBlock8bit];
  const bool is_mapped = job.order.plane != 1;
  BFloat16Bits* __restrict to = is_mapped ? rounded : job.narrow_weight + start;
  const uint64_t key = job.rounding_key;
  const uint32_t block_key = rounding_block_key(key, start / kRoundingBlock);
  const auto place = static_cast<uint32_t>(start % kRoundingBlock);
  const auto n = static_cast<uint32_t>(count);
  for (uint32_t i = 0; i < n; ++i) {
    to[i].bits = round_to_bf16_bits(bits_as<uint32_t>(from[i]), key, block_key, place + i);
  }
  if (is_mapped) scatter(rounded, job.order, start, job.narrow_weight, count);
}

// Weights and gradients of a block in fp32: where they lie, or copies.
struct WideBlock {
  float* __restrict weight;
  const float* __restrict grad;
};
struct WideCopies {
  alignas(64) float weight[kBlock8bit];
  alignas(64) float grad[kBlock8bit];
};

SDTUNE_INLINE WideBlock read_block(const Update8bitJob& job, float scale, int64_t start, int count,
                                   WideCopies& copies) {
  const bool narrow = job.narrow_weight != nullptr;
  if (!narrow && job.order.plane == 1) {
    if (scale == 1) return {job.weight + start, job.grad + start};
    gather(job.grad, job.order, start, scale, copies.grad, count);
    return {job.weight + start, copies.grad};
  }
  if (narrow) {
    gather(job.narrow_weight, job.order, start, 1.0F, copies.weight, count);
    gather(job.narrow_grad, job.order, start, scale, copies.grad, count);
  } else {
    gather(job.weight, job.order, start, 1.0F, copies.weight, count);
    gather(job.grad, job.order, start, scale, copies.grad, count);
  }
  return {copies.weight, copies.grad};
}

SDTUNE_INLINE void write_block(const Update8bitJob& job, const WideBlock& wide, int64_t start,
                               int count) {
  if (job.narrow_weight != nullptr) {
    store_rounded(wide.weight, job, start, count);
  } else if (job.order.plane != 1) {
    scatter<float>(wide.weight, job.order, start, job.weight, count);
  }
}

template <Rule8bit rule>
SDTUNE_INLINE void update_blocks(const Update8bitJob& job, int64_t first_block, int64_t end_block) {
  constexpr int kStates = states_of(rule);
  const Coefficients8bit c = job.coefficients;
  const bool plain = job.plain[0] != nullptr;
  const float scale = gradient_scale_of(job);
  if (!std::isfinite(scale)) return;
  WideCopies copies;
  alignas(64) float values[kStates][kBlock8bit];
  float* states[kStates];
  for (int64_t block = first_block; block < end_block; ++block) {
    const int64_t start = block * kBlock8bit;
    const int count = elements_in(block, job.count);
    for (int s = 0; s < kStates; ++s) {
      states[s] = plain ? job.plain[s] + start : values[s];
      if (plain) continue;
      dequantize_block(job.states[s].codes + start, job.states[s].absmax[block],
                       dynamic_code(state_is_signed(rule, s)), values[s], count);
    }
    const WideBlock wide = read_block(job, scale, start, count, copies);
    float* __restrict weight = wide.weight;
    const float* __restrict grad = wide.grad;
    for (int i = 0; i < count; ++i) update_element<rule>(c, grad[i], weight[i], states, i);
    write_block(job, wide, start, count);
    for (int s = 0; s < kStates && !plain; ++s) {
      job.states[s].absmax[block] = quantize_block(
          values[s], dynamic_code(state_is_signed(rule, s)), job.states[s].codes + start, count);
    }
  }
}

}  // namespace

SDTUNE_EACH_WIDTH void update_8bit_cpu(const Update8bitJob& job, int64_t first_block,
                                       int64_t end_block) {
  switch (job.rule) {
    case Rule8bit::kAdam:
      return update_blocks<Rule8bit::kAdam>(job, first_block, end_block);
    case Rule8bit::kLion:
      return update_blocks<Rule8bit::kLion>(job, first_block, end_block);
    case Rule8bit::kMomentum:
      return update_blocks<Rule8bit::kMomentum>(job, first_block, end_block);
    case Rule8bit::kAdEMAMix:
      return update_blocks<Rule8bit::kAdEMAMix>(job, first_block, end_block);
  }
}

SDTUNE_EACH_WIDTH void quantize_8bit_cpu(const float* x, int64_t count, bool is_signed,
                                         const State8bit& out) {
  const DynamicCode& code = dynamic_code(is_signed);
  for (int64_t block = 0; block < blocks_8bit(count); ++block) {
    const int64_t start = block * kBlock8bit;
    out.absmax[block] =
        quantize_block(x + start, code, out.codes + start, elements_in(block, count));
  }
}

SDTUNE_EACH_WIDTH void dequantize_8bit_cpu(const State8bit& state, int64_t count, bool is_signed,
                                           float* out) {
  const DynamicCode& code = dynamic_code(is_signed);
  for (int64_t block = 0; block < blocks_8bit(count); ++block) {
    const int64_t start = block * kBlock8bit;
    dequantize_block(state.codes + start, state.absmax[block], code, out + start,
                     elements_in(block, count));
  }
}

}  // namespace sdtune
