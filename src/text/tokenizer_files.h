// The tokenizer's files as a Diffusers folder holds them, so that Transformers loads the tokenizer
// from there.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "text/clip_tokenizer.h"

namespace sdtune {

// Path inside the model's folder ("tokenizer/vocab.json") and content.
std::vector<std::pair<std::string, std::string>> tokenizer_files(TextFamily family);

}  // namespace sdtune
