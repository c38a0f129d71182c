// Writing a Diffusers folder: the three models, the pipeline's index, scheduler and tokenizer. The
// folder is complete before it takes its name; one that stood there is removed only then.
#pragma once

#include "models/save_plan.h"

namespace sdtune {

uint64_t bytes_of_plan(const std::vector<TensorToWrite>& plan);
// Error when the disk below `target` lacks room for `bytes`.
void check_free_space(const std::filesystem::path& target, uint64_t bytes);

// Error when something other than a model folder stands at `target`.
void check_folder_target(const std::filesystem::path& target);

// Errors: the tokenizer's files are missing.
void save_diffusers_folder(const ModelSource& source, const ModelValues& model,
                           const SaveRequest& request);

}  // namespace sdtune
