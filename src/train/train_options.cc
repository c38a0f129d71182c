#include "train/train_options.h"

#include "base/error.h"
#include "base/log.h"
#include "base/rank.h"
#include "train/dataset_setup.h"
#include "train/run_control.h"

namespace sdtune {

namespace {

void validate_run(const TrainOptions& options) {
  if (options.optimizer.learning_rate_te && !options.run.train_text_encoder) {
    log_warning("--learning_rate_te has no effect without --train_text_encoder");
  }
  if (options.model.v2 && options.run.clip_skip > 0) {
    log_warning(
        "--clip_skip is unusual with --v2, whose text encoder ends at the layer before the last "
        "already");
  }
  const bool warms_up =
      options.optimizer.lr_warmup_steps.steps > 0 || options.optimizer.lr_warmup_steps.ratio > 0;
  if (warms_up && options.optimizer.lr_scheduler == "constant") {
    throw UsageError("the constant schedule has no warm-up", "--lr_warmup_steps",
                     "use --lr_scheduler=constant_with_warmup");
  }
  if (options.optimizer.lr_scheduler == "polynomial" && options.optimizer.learning_rate <= 1e-7) {
    throw UsageError("the polynomial schedule ends at 1e-7, so the learning rate must be above it",
                     "--learning_rate");
  }
  if (rank_from_environment().world_size > 1) {
    throw UsageError("training runs as one process", "WORLD_SIZE",
                     "start sdtune directly, without torchrun or mpirun");
  }
}

void validate_logs(const LogOutputOptions& log) {
  const std::string reader = log.log_with.value_or("");
  if (reader == "wandb" || reader == "all") {
    log_warning("Weights & Biases is not supported; --logging_dir writes for TensorBoard");
  }
  if ((reader == "tensorboard" || reader == "all") && !log.logging_dir) {
    throw UsageError("TensorBoard's files need a folder", "--log_with", "give --logging_dir");
  }
}

void warn_without(bool has, const char* option, bool has_base, const char* base) {
  if (has && !has_base) log_warning("--{} has no effect without --{}", option, base);
}

void validate_saves(const SaveOptions& save) {
  warn_without(save.save_last_n_epochs || save.save_last_n_epochs_state, "save_last_n_epochs",
               save.save_every_n_epochs || save.save_n_epoch_ratio, "save_every_n_epochs");
  warn_without(save.save_last_n_steps || save.save_last_n_steps_state, "save_last_n_steps",
               save.save_every_n_steps.has_value(), "save_every_n_steps");
}

}  // namespace

void validate(const TrainOptions& options) {
  validate(options.dataset);
  validate(options.compatibility);
  validate_run(options);
  validate_logs(options.log);
  validate_saves(options.save);
  if (options.control.max_train_time) parse_train_time(*options.control.max_train_time);
}

std::string base_name(const TrainOptions& options) {
  return options.run.output_name.value_or("last");
}

}  // namespace sdtune
