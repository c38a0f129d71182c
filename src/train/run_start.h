// What a run begins with: its pictures, and the state that it goes on from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/dataset_setup.h"
#include "train/trainee.h"

namespace sdtune {

// What the options ask for. UsageError when the loss is to be masked and there are no masks.
DatasetSetup read_pictures(const TrainOptions& options);

// The state to go on from. A run that begins anew gets its seed here, before weights are drawn.
std::optional<std::filesystem::path> choose_start(TrainOptions& options);

// Of so many batches, some of which are accumulated.
int64_t updates_per_epoch(const TrainOptions& options, int64_t batches);

// RunState::made_with of a run.
std::vector<std::pair<std::string, std::string>> conditions_of(const Trainee& trainee,
                                                               const TrainOptions& options,
                                                               const Dataset& dataset,
                                                               int64_t total_steps);

}  // namespace sdtune
