// The noise of a step: a pure function of (seed, optimizer step, sample in the global batch), drawn
// on the CPU, so that it is the same on every device, after a resume, and on one process or many.
// What is added to plain noise, and timesteps, follow the same rule (noise.h, timesteps.h).
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

}  // namespace sdtune
