// Memory of torch's tensors on the CPU: large ones keep their pages when they are freed
// (base/block_range.h), so that the activations and gradients of each step take those of the step
// before. Small ones come from malloc, as torch has it. Not for pinned memory, which is CUDA's.
#pragma once

#include <cstdint>

namespace sdtune {

// From now on torch's CPU tensors are made so; once a process, before the first large one. Tensors
// that exist already stay where they are. Later calls do nothing.
void use_kept_memory();

// Gives the pages of freed tensors back to the system, after work that took more than what follows
// will. Nothing to do where use_kept_memory() was not called.
void release_free_memory();

}  // namespace sdtune
