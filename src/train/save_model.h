// Writing the model that a run has trained, under the name and in the form that its options ask
// for.
#pragma once

#include <filesystem>

#include "train/output_names.h"
#include "train/state.h"
#include "train/trainee.h"

namespace sdtune {

// The file or folder that save_trained_model() writes.
std::filesystem::path trained_model_path(const Trainee& trainee, const TrainOptions& options,
                                         SaveMoment moment);

// The model, or the hypernetwork that was trained in its place. Errors as save_stable_diffusion()
// and save_hypernetwork().
void save_trained_model(Trainee& trainee, const TrainOptions& options, SaveMoment moment,
                        const Position& position);

}  // namespace sdtune
