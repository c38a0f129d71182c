// Reading a BLIP captioner from disk: a Transformers folder (config.json and its weights), or one
// of Salesforce's original checkpoints (model_large_caption.pth), whose names are other ones and
// whose sizes follow from its tensors. The words that its ids stand for are text/word_piece.h's.
#pragma once

#include <filesystem>

#include "models/blip.h"

namespace sdtune {

// Weights in new CPU tensors of `type`. Errors name the file and what is missing or does not fit.
Blip load_blip(const std::filesystem::path& path, at::ScalarType type);

}  // namespace sdtune
