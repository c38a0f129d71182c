// Weights that a Diffusers or Transformers index splits over several files, read as one.
// Format: {"metadata": …, "weight_map": {tensor name: file name}} in "*.index.json".
#pragma once

#include <filesystem>
#include <memory>

#include "formats/weights.h"

namespace sdtune {

// Files named by the index must lie in its own folder. Errors: a broken index, names that are
// paths, a tensor that its file does not hold.
std::unique_ptr<WeightFile> open_sharded_weights(const std::filesystem::path& index);

}  // namespace sdtune
