// Ids of models on the Hugging Face Hub in the place of paths: the one spot where options become
// downloads. What is on this machine goes before an id.
#pragma once

#include <filesystem>
#include <optional>

#include "train/train_options.h"

namespace sdtune {

enum class ModelUse { kWhole, kVae, kFile, kCaptioner, kTagger, kDeepDanbooru };

struct FoundModel {
  std::filesystem::path path;  // on this machine
  std::filesystem::path name;  // that finds the same again: the id with its commit
};

// Nothing for what is a path here, or can be no id: that is opened as it is given. Errors of
// local_copy(), which say, too, that there is no such path. Fetches what is missing, which Ctrl-C
// may end: before install_stop_signals().
std::optional<FoundModel> find_on_hub(const std::filesystem::path& given, ModelUse use);

// The path to open.
std::filesystem::path local_model(const std::filesystem::path& given, ModelUse use);

// Model, VAE, hypernetwork and, with --resume_from_huggingface, the state.
void find_on_hub(TrainOptions& options);

}  // namespace sdtune
