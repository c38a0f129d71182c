// safetensors, read strictly and written as a stream.
// Format: 8 bytes length, JSON header, tensor bytes (github.com/huggingface/safetensors, README).
#pragma once

#include "formats/weights.h"

namespace sdtune {

// Refuses what the reference reader refuses: see docs/formats.md.
std::unique_ptr<WeightFile> open_safetensors(const std::filesystem::path& path);

// Atomic: the file appears whole or not at all. Data starts 64-byte aligned (padding in the
// header).
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace sdtune
