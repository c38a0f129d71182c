#include "kernels/optimizer_8bit_cuda.h"
#include "kernels/rounding_bits.h"

namespace sdtune {

namespace {

constexpr int kThreads = static_cast<int>(kBlock8bit);
constexpr int kWarps = kThreads / 32;

// Travels as a kernel's parameter, so that nothing has to be kept on the device; a grid constant is
// indexed where it is, without a copy for each thread.
struct Values {
  float of[256];
};

Values values_of(bool is_signed) {
  Values values;
  const DynamicCode& code = dynamic_code(is_signed);
  for (int i = 0; i < 256; ++i) values.of[i] = code.values[i];
  return values;
}

// A code in shared memory: values, and the largest float that still belongs to each.
struct SharedCode {
  float values[256];
  float last[256];
};

__device__ void fill(SharedCode& code, const Values& values) {
  const int i = threadIdx.x;
  code.values[i] = values.of[i];
  const double next = i < 255 ? static_cast<double>(values.of[i + 1]) : 4.0;
  code.last[i] = __double2float_rd((static_cast<double>(values.of[i]) + next) / 2);
}

__device__ uint8_t nearest(const SharedCode& code, float x) {
  int index = 0;
#pragma unroll
  for (int step = 128; step > 0; step /= 2) {
    // A NaN compares false and stays at the first code.
    if (x > code.last[index + step - 1]) index += step;
  }
  return static_cast<uint8_t>(index);
}

// The largest magnitude over the thread block, as integers, among which a NaN wins.
__device__ float block_absmax(float x, uint32_t* warps) {
  uint32_t own = __float_as_uint(x) & 0x7FFFFFFFU;
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) own = max(own, __shfl_xor_sync(0xFFFFFFFFU, own, lane));
  __syncthreads();
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = own;
  __syncthreads();
  uint32_t largest = 0;
#pragma unroll
  for (int i = 0; i < kWarps; ++i) largest = max(largest, warps[i]);
  return __uint_as_float(largest);
}

struct Place {
  int64_t block;
  int64_t index;
  bool inside;
};

__device__ Place place_of(int64_t count) {
  const int64_t block = blockIdx.x;
  const int64_t index = block * kBlock8bit + threadIdx.x;
  return {block, index, index < count};
}

__device__ void quantize(const Place& at, float x, const SharedCode& code, const State8bit& out,
                         uint32_t* warps) {
  const float absmax = block_absmax(at.inside ? x : 0.0F, warps);
  const float inverse = absmax == 0 ? 0.0F : 1.0F / absmax;
  if (at.inside) out.codes[at.index] = nearest(code, x * inverse);
  if (threadIdx.x == 0) out.absmax[at.block] = absmax;
}

__device__ float widen(BFloat16Bits value) {
  return __uint_as_float(static_cast<uint32_t>(value.bits) << 16);
}

__device__ float value_at(int64_t place, const float* wide, const BFloat16Bits* narrow) {
  return narrow != nullptr ? widen(narrow[place]) : wide[place];
}

// The bits of store_rounded() in stochastic_round.h for contiguous weights.
__device__ void store_rounded(float value, const Update8bitJob& job, int64_t index, int64_t place) {
  const uint64_t key = job.rounding_key;
  job.narrow_weight[place].bits = round_to_bf16_bits(
      __float_as_uint(value), key, rounding_block_key(key, index / kRoundingBlock),
      static_cast<uint32_t>(index % kRoundingBlock));
}

__device__ void store_weight(float value, const Update8bitJob& job, int64_t index, int64_t place) {
  if (job.narrow_weight != nullptr) {
    store_rounded(value, job, index, place);
  } else {
    job.weight[place] = value;
  }
}

// One thread block for each block of a state, one thread for each element.
template <Rule8bit rule>
__global__ void update_kernel(const __grid_constant__ Update8bitJob job,
                              const __grid_constant__ Values signed_values,
                              const __grid_constant__ Values unsigned_values) {
  __shared__ SharedCode signed_code;
  __shared__ SharedCode unsigned_code;
  __shared__ uint32_t warps[kWarps];
  constexpr int kStates = states_of(rule);
  const float scale = gradient_scale_of(job);
  if (!isfinite(scale)) return;
  fill(signed_code, signed_values);
  if constexpr (!state_is_signed(rule, kStates - 1)) fill(unsigned_code, unsigned_values);
  __syncthreads();
  const Place at = place_of(job.count);
  const bool plain = job.plain[0] != nullptr;
  float values[kStates] = {};
  float* states[kStates];
#pragma unroll
  for (int s = 0; s < kStates; ++s) {
    const SharedCode& code = state_is_signed(rule, s) ? signed_code : unsigned_code;
    states[s] = &values[s];
    if (at.inside) {
      values[s] = plain
                      ? job.plain[s][at.index]
                      : code.values[job.states[s].codes[at.index]] * job.states[s].absmax[at.block];
    }
  }
  if (at.inside) {
    const int64_t place = place_in_memory(job.order, at.index);
    float weight = value_at(place, job.weight, job.narrow_weight);
    const float grad = value_at(place, job.grad, job.narrow_grad);
    // A product of its own, rounded as that of a gradient that was scaled before.
    update_element<rule>(job.coefficients, __fmul_rn(scale, grad), weight, states, 0);
    store_weight(weight, job, at.index, place);
  }
#pragma unroll
  for (int s = 0; s < kStates; ++s) {
    const SharedCode& code = state_is_signed(rule, s) ? signed_code : unsigned_code;
    if (plain) {
      if (at.inside) job.plain[s][at.index] = values[s];
    } else {
      // The barriers within also keep the scale until every thread has read it.
      quantize(at, values[s], code, job.states[s], warps);
    }
  }
}

__global__ void quantize_kernel(const float* x, int64_t count, State8bit out,
                                const __grid_constant__ Values values) {
  __shared__ SharedCode code;
  __shared__ uint32_t warps[kWarps];
  fill(code, values);
  const Place at = place_of(count);
  quantize(at, at.inside ? x[at.index] : 0.0F, code, out, warps);
}

__global__ void dequantize_kernel(State8bit state, int64_t count, float* out,
                                  const __grid_constant__ Values values) {
  __shared__ float of[256];
  of[threadIdx.x] = values.of[threadIdx.x];
  __syncthreads();
  const Place at = place_of(count);
  if (at.inside) out[at.index] = of[state.codes[at.index]] * state.absmax[at.block];
}

unsigned grid(int64_t count) { return static_cast<unsigned>(blocks_8bit(count)); }

template <Rule8bit rule>
void update(const Update8bitJob& job, cudaStream_t stream) {
  update_kernel<rule>
      <<<grid(job.count), kThreads, 0, stream>>>(job, values_of(true), values_of(false));
}

}  // namespace

cudaError_t launch_update_8bit(const Update8bitJob& job, cudaStream_t stream) {
  switch (job.rule) {
    case Rule8bit::kAdam:
      update<Rule8bit::kAdam>(job, stream);
      break;
    case Rule8bit::kLion:
      update<Rule8bit::kLion>(job, stream);
      break;
    case Rule8bit::kMomentum:
      update<Rule8bit::kMomentum>(job, stream);
      break;
    case Rule8bit::kAdEMAMix:
      update<Rule8bit::kAdEMAMix>(job, stream);
      break;
  }
  return cudaGetLastError();
}

cudaError_t launch_quantize_8bit(const float* x, int64_t count, bool is_signed,
                                 const State8bit& out, cudaStream_t stream) {
  quantize_kernel<<<grid(count), kThreads, 0, stream>>>(x, count, out, values_of(is_signed));
  return cudaGetLastError();
}

cudaError_t launch_dequantize_8bit(const State8bit& state, int64_t count, bool is_signed,
                                   float* out, cudaStream_t stream) {
  dequantize_kernel<<<grid(count), kThreads, 0, stream>>>(state, count, out, values_of(is_signed));
  return cudaGetLastError();
}

}  // namespace sdtune
