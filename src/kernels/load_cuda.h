// Brings CUDA into a program that does not link it: torch's CUDA library and our kernels are opened
// at start-up where a driver and a device are, so that one build serves machines with and without a
// GPU.
#pragma once

namespace sdtune {

// True when tensors can be put on CUDA. Must be called before the first question to torch about
// CUDA, because torch remembers the answer. Why not, when not, is logged at debug level, or as a
// warning where a device is there but is too old, its driver is, or a library cannot be opened.
// Calling it again is cheap.
bool load_cuda();

}  // namespace sdtune
