// Names of what a run writes, as sd-scripts gives them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "models/stable_diffusion.h"
#include "train/train_options.h"

namespace sdtune {

// What a save belongs to: the end of the run, an epoch (1-based) or an optimizer step.
struct SaveMoment {
  enum class Kind { kEnd, kEpoch, kStep };
  Kind kind = Kind::kEnd;
  int64_t number = 0;
  bool ema = false;  // the average of the weights, written beside the model
  bool operator==(const SaveMoment&) const = default;
};

// "<name>", "<name>-000002" or "<name>-step00000100"; without --output_name the base is last, epoch
// or at.
std::string output_stem(const TrainOptions& options, SaveMoment moment);

std::filesystem::path state_folder(const TrainOptions& options, SaveMoment moment);

// The form of the models: --save_model_as, else the source's own (with --use_safetensors heeded).
SaveFormat save_format(const SaveOptions& options, SaveFormat source);

// The model's path: with .safetensors or .ckpt, or bare for a Diffusers folder.
std::filesystem::path model_path(const TrainOptions& options, SaveFormat format, SaveMoment moment);

}  // namespace sdtune
