// Marks functions that the CPU's code and CUDA's kernels share, so that what they compute is tested
// on the CPU too.
#pragma once

#if defined(__CUDACC__)
#define SDTUNE_ON_BOTH __host__ __device__ __forceinline__
#else
#define SDTUNE_ON_BOTH inline __attribute__((always_inline))
#endif
