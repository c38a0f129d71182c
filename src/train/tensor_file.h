// Named tensors into one safetensors file, for states and traces.
#pragma once

#include <filesystem>

#include "models/parameters.h"

namespace sdtune {

// Each tensor in its own type, from whatever device. Atomic.
void write_tensors(const std::filesystem::path& path, const NamedTensors& tensors);

}  // namespace sdtune
