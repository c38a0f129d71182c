// The device that --device asks for.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace sdtune {

// "auto", "cpu" or "cuda". Opens the CUDA library where there is a device; processes of one machine
// share its GPUs. UsageError when CUDA is asked for and there is none.
at::Device choose_device(const std::string& name);

}  // namespace sdtune
