// Which files of a repository a purpose needs, told from their names alone: of whole repositories
// on the Hub and of what is in the cache of one.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace sdtune {

// The names needed of those there are. Error, without a place, when what is there is not enough.
using FileChoice = std::function<std::vector<std::string>(const std::vector<std::string>& names)>;

// A Diffusers model: model_index.json, and of U-Net, VAE and text encoder the configuration and the
// first choice of weights (formats/component_names.h); what there is of tokenizer, scheduler and
// feature extractor. Nothing else: no second form of the weights, no safety checker.
std::vector<std::string> whole_model_files(const std::vector<std::string>& names);

// A VAE: that of a whole model (vae/), or the repository itself.
std::vector<std::string> vae_files(const std::vector<std::string>& names);

// A Transformers captioner: its configuration, the first choice of weights, and its words.
std::vector<std::string> captioner_files(const std::vector<std::string>& names);

// One file, or everything below a folder.
FileChoice only_file(const std::string& path);
FileChoice whole_folder(const std::string& path);

}  // namespace sdtune
