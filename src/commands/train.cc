#include "commands/train.h"

#include <ATen/Parallel.h>

#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/system.h"
#include "commands/device.h"
#include "commands/model_ids.h"
#include "commands/uploads.h"
#include "options/command_line.h"
#include "train/accelerate_environment.h"
#include "train/debug_dataset.h"
#include "train/lr_plot.h"
#include "train/trainer.h"

namespace sdtune {

namespace {

LogLevel log_level(const std::string& name) {
  if (name == "DEBUG") return LogLevel::kDebug;
  if (name == "INFO") return LogLevel::kInfo;
  return name == "WARNING" ? LogLevel::kWarning : LogLevel::kError;
}

// So that run.toml repeats the run from any folder.
void make_paths_absolute(TrainOptions& options) {
  const auto make_absolute = [](fs::path& path) { path = absolute_path(path); };
  // What is not there may be an id, and else the user reads the name as it was given.
  const auto make_found_absolute = [&](fs::path& path) {
    if (fs::exists(path)) make_absolute(path);
  };
  make_found_absolute(options.model.pretrained_model_name_or_path);
  for (auto* path : {&options.model.vae, &options.hypernetwork.weights}) {
    if (*path) make_found_absolute(**path);
  }
  make_absolute(options.run.output_dir);
  for (auto* path :
       {&options.dataset.train_data_dir, &options.dataset.in_json, &options.dataset.dataset_config,
        &options.dataset.conditioning_data_dir, &options.preview.sample_prompts,
        &options.log.trace_dir, &options.log.logging_dir, &options.log.log_tracker_config,
        &options.log.console_log_file, &options.modelspec.thumbnail}) {
    if (*path) make_absolute(**path);
  }
  // Texts that may be something else: a list of numbers, "auto", an id.
  std::error_code too_long;
  for (std::optional<std::string>* text : {&options.noise.timestep_weights, &options.save.resume}) {
    if (*text && **text != "auto" && fs::exists(**text, too_long))
      *text = absolute_path(**text).string();
  }
}

int train_with(TrainOptions& options) {
  validate(options);
  // What is wrong with a prompt is said before anything is made.
  std::vector<PromptLine> prompts = read_preview_prompts(options.preview);
  make_paths_absolute(options);
  make_writable_folder(options.run.output_dir);
  remove_stale_temporaries(options.run.output_dir);
  find_on_hub(options);
  install_stop_signals();
  if (options.run.num_cpu_threads_per_process) {
    at::set_num_threads(static_cast<int>(*options.run.num_cpu_threads_per_process));
  }
  std::optional<Uploads> uploads;
  if (options.hub.repo_id) uploads.emplace(options.hub);
  Trainer trainer(options, choose_device(options.run.device), std::move(prompts));
  if (uploads) trainer.on_saved([&](const SavedPlace& saved) { uploads->take(saved); });
  return trainer.run();
}

}  // namespace

int run_train(std::span<const std::string> args) {
  TrainOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  configure_log({.level = log_level(options.log.console_log_level),
                 .file = options.log.console_log_file.value_or("").string()});
  apply_accelerate_environment(table);
  explain_accepted(table);
  if (options.schedule.plot_lr) {
    validate(options);
    plot_learning_rate(options);
    return 0;
  }
  if (options.dataset.debug_dataset) {
    validate(options);
    install_stop_signals();
    return debug_dataset(options);
  }
  return train_with(options);
}

}  // namespace sdtune
