#include "commands/train.h"

#include <ATen/Parallel.h>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/system.h"
#include "commands/device.h"
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
  const auto make_absolute = [](fs::path& path) { path = fs::absolute(path).lexically_normal(); };
  fs::path& model = options.model.pretrained_model_name_or_path;
  if (fs::exists(model)) make_absolute(model);  // else the user reads the name as it was given
  make_absolute(options.run.output_dir);
  for (auto* path :
       {&options.model.vae, &options.dataset.train_data_dir, &options.dataset.in_json,
        &options.dataset.dataset_config, &options.dataset.conditioning_data_dir,
        &options.preview.sample_prompts, &options.hypernetwork.weights, &options.log.trace_dir,
        &options.log.logging_dir, &options.log.log_tracker_config}) {
    if (*path) make_absolute(**path);
  }
  std::error_code too_long;  // as a list of numbers may be
  if (std::optional<std::string>& weights = options.noise.timestep_weights;
      weights && fs::is_regular_file(*weights, too_long)) {
    weights = fs::absolute(*weights).lexically_normal().string();
  }
}

int train_with(TrainOptions& options) {
  validate(options);
  // What is wrong with a prompt is said before anything is made.
  std::vector<PromptLine> prompts = read_preview_prompts(options.preview);
  make_paths_absolute(options);
  make_writable_folder(options.run.output_dir);
  remove_stale_temporaries(options.run.output_dir);
  install_stop_signals();
  if (options.run.num_cpu_threads_per_process) {
    at::set_num_threads(static_cast<int>(*options.run.num_cpu_threads_per_process));
  }
  return Trainer(options, choose_device(options.run.device), std::move(prompts)).run();
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
