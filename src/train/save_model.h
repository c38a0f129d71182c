// Writing the model that a run has trained, under the name and in the form that its options ask
// for.
#pragma once

#include <filesystem>

#include "train/output_names.h"
#include "train/state.h"
#include "train/trainee.h"

namespace sdtune {

// The form that the models of this run are written in.
SaveFormat trained_model_format(const Trainee& trainee, const SaveOptions& options);

// Returns the file or folder written. Errors as save_stable_diffusion().
std::filesystem::path save_trained_model(Trainee& trainee, const TrainOptions& options,
                                         SaveMoment moment, const Position& position);

}  // namespace sdtune
