// Noise and timesteps of a step: pure functions of (seed, optimizer step, sample in the global
// batch), drawn on the CPU, so that they are the same on every device, after a resume, and on one
// process or many.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sdtune {

struct DrawPosition {
  uint64_t seed = 0;
  int64_t step = 0;          // optimizer steps done before this one
  int64_t first_sample = 0;  // of this micro batch in the step's global batch, accumulation counted
};

// N(0, 1) fp32 of the given shape [B, …] on the CPU; sample i is the stream of first_sample + i.
at::Tensor draw_noise(const DrawPosition& position, at::IntArrayRef shape);

// [count] int64 on the CPU, uniform in [low, high).
at::Tensor draw_timesteps(const DrawPosition& position, int64_t count, int64_t low, int64_t high);

}  // namespace sdtune
