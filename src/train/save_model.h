// Writing the model that a run has trained, under the name and in the form that its options ask
// for.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "models/stable_diffusion.h"
#include "train/output_names.h"
#include "train/state.h"
#include "train/trainee.h"

namespace sdtune {

// What --save_precision names: "float", "fp16", "bf16", or nothing.
SavePrecision save_precision(const std::optional<std::string>& name);

// The file or folder that save_trained_model() writes.
std::filesystem::path trained_model_path(const Trainee& trainee, const TrainOptions& options,
                                         SaveMoment moment);

// Error before the first step for what would make every save fail: the thumbnail, sizes that a
// single file cannot express, a name that is taken.
void check_can_save(const Trainee& trainee, const TrainOptions& options);

// The model, or the hypernetwork that was trained in its place. Errors as save_stable_diffusion()
// and save_hypernetwork().
void save_trained_model(Trainee& trainee, const TrainOptions& options, SaveMoment moment,
                        const Position& position);

}  // namespace sdtune
