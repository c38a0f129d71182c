#include "train/run_start.h"

#include <ATen/Parallel.h>

#include "base/error.h"
#include "base/log.h"
#include "base/system.h"
#include "data/dataset_facts.h"
#include "train/output_names.h"
#include "train/save_policy.h"
#include "train/state.h"

namespace sdtune {

namespace {

// A loss that is to be masked needs masks.
void check_masks(const TrainOptions& options, const Dataset& dataset) {
  if (!options.loss.masked_loss || has_masks(dataset)) return;
  throw UsageError("there are no masks for the loss", "--masked_loss",
                   "add --alpha_mask to take the pictures' alpha channel, or name a folder of "
                   "masks with --conditioning_data_dir");
}

// Where states of this run's name may lie; other runs share the folder.
std::vector<std::filesystem::path> own_states(const TrainOptions& options) {
  const auto path_of = [&](SaveMoment moment) { return state_folder(options, moment); };
  std::vector<std::filesystem::path> folders = {path_of({})};
  for (const SaveMoment& moment : saves_in(options.run.output_dir, path_of)) {
    folders.push_back(path_of(moment));
  }
  return folders;
}

}  // namespace

int64_t updates_per_epoch(const TrainOptions& options, int64_t batches) {
  return (batches + options.run.gradient_accumulation_steps - 1) /
         options.run.gradient_accumulation_steps;
}

DatasetSetup read_pictures(const TrainOptions& options) {
  DatasetSetup setup = read_dataset(options.dataset);
  check_masks(options, setup.dataset);
  return setup;
}

std::optional<std::filesystem::path> choose_start(TrainOptions& options) {
  const std::optional<std::string>& resume = options.save.resume;
  std::optional<std::filesystem::path> state;
  if (resume) {
    state = *resume == "auto" ? newest_state(own_states(options))
                              : std::optional<std::filesystem::path>(*resume);
  }
  if (resume && !state)
    log_info("there is no state of '{}' in {} yet; the run starts anew", base_name(options),
             options.run.output_dir.string());
  if (!state && !options.run.seed) options.run.seed = static_cast<int64_t>(random_seed() >> 1);
  return state;
}

std::vector<std::pair<std::string, std::string>> conditions_of(const Trainee& trainee,
                                                               const TrainOptions& options,
                                                               const Dataset& dataset,
                                                               int64_t total_steps) {
  return {
      {"threads", std::to_string(at::get_num_threads())},
      {"processor", processor_name()},
      {"device", trainee.device.str()},
      {"computing in", c10::toString(trainee.precision.compute)},
      {"weights in", c10::toString(trainee.precision.weights)},
      {"batch size", std::to_string(dataset.largest_batch())},
      {"gradient accumulation steps", std::to_string(options.run.gradient_accumulation_steps)},
      {"pictures and captions", fingerprint(dataset)},
      {"repeats, buckets and weights of pictures", fingerprint_of_plan(dataset)},
      {"total steps", std::to_string(total_steps)},
  };
}

}  // namespace sdtune
