// The element types that CUDA's kernels take, for headers that torch does not see.
#pragma once

namespace sdtune {

enum class CudaElement { kFloat, kBFloat16, kHalf };

}  // namespace sdtune
