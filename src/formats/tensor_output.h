// What the writers of safetensors and checkpoints share: checks before the first byte is written,
// and a sink that holds each producer to the size it promised.
#pragma once

#include <filesystem>
#include <vector>

#include "formats/weights.h"

namespace sdtune {

// Error on a name that stands twice and on a shape that is no shape.
void check_tensors_to_write(const std::filesystem::path& path,
                            const std::vector<TensorToWrite>& tensors);

// Calls the producer once; Error unless it hands over exactly info.bytes().
void produce_exactly(const std::filesystem::path& path, const TensorToWrite& tensor,
                     const ByteSink& sink);

}  // namespace sdtune
