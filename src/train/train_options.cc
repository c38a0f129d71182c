#include "train/train_options.h"

#include "base/error.h"
#include "base/log.h"
#include "base/rank.h"
#include "optim/make_optimizer.h"
#include "train/block_rates.h"
#include "train/dataset_setup.h"
#include "train/hypernetwork_training.h"
#include "train/lr_plot.h"
#include "train/run_control.h"

namespace sdtune {

namespace {

// Names and settings are refused before a model is read.
void validate_optimizer(const TrainOptions& all) {
  const OptimizerOptions& options = all.optimizer;
  const ScheduleOptions& schedule = all.schedule;
  if (options.use_8bit_adam + options.use_lion_optimizer + !options.optimizer_type.empty() > 1) {
    throw UsageError("more than one optimizer is asked for",
                     "--optimizer_type, --use_8bit_adam, --use_lion_optimizer", "give one of them");
  }
  const auto optimizer =
      make_optimizer(options.type(), {}, OptimizerArguments(options.optimizer_args));
  if (all.precision.fused_backward_pass && !optimizer->updates_tensor_by_tensor()) {
    throw UsageError(fmt::format("{} needs all gradients at once", options.type()),
                     "--fused_backward_pass",
                     "leave it out, or take AdamW, AdamW8bit or AdaFactor");
  }
  if (all.precision.offload_optimizer) optimizer->keep_state_on_host();
  if (options.block_lr) BlockRates{*options.block_lr};
  const std::string name = schedule.lr_scheduler_type.value_or(schedule.lr_scheduler);
  if (optimizer->follows_schedule() && name == "adafactor") {
    throw UsageError(
        fmt::format("{} does not set its rate itself, as this schedule wants", options.type()),
        "--lr_scheduler=adafactor", "add --optimizer_type=AdaFactor, or take another schedule");
  }
  if (!optimizer->follows_schedule() && name != "constant" && name != "adafactor") {
    log_warning("{} sets its rate itself; the schedule {} has no effect", options.type(), name);
  }
}

void validate_schedule(const TrainOptions& options) {
  // With the steps that are known by now, so that what cannot be meant is told before a model is
  // read.
  constexpr int64_t kUnknown = 1'000'000'000'000;
  make_run_schedule(options.schedule, options.optimizer.learning_rate,
                    options.run.max_train_epochs ? kUnknown : options.run.max_train_steps);
}

void validate_validation(const ValidationOptions& validation) {
  if (validation.validation_split == 0 &&
      (validation.validate_every_n_steps || validation.validate_every_n_epochs)) {
    throw UsageError("there are no pictures to validate on", "--validation_split",
                     "give the share of the pictures that is kept for that, as 0.1");
  }
}

void validate_fused(const TrainOptions& options) {
  const PrecisionOptions& precision = options.precision;
  const double max_norm = options.optimizer.max_grad_norm;
  const char* where = "--fused_backward_pass";
  if (options.run.gradient_accumulation_steps > 1) {
    throw UsageError("updates in the backward pass leave no gradients to add to", where,
                     "use --gradient_accumulation_steps=1 and a larger --train_batch_size");
  }
  if (precision.mixed_precision == MixedPrecision::kFp16) {
    throw UsageError("whether fp16 gradients overflowed is known only after all of them", where,
                     "use --mixed_precision=bf16");
  }
  if (max_norm > 0 && !precision.clip_per_tensor) {
    throw UsageError(
        fmt::format("--max_grad_norm={} is of all gradients together, which are never "
                    "there together",
                    max_norm),
        where, "add --clip_per_tensor to bound each gradient by itself, or --max_grad_norm=0");
  }
}

void validate_precision(const TrainOptions& options) {
  const PrecisionOptions& precision = options.precision;
  if (precision.full_fp16 && precision.mixed_precision != MixedPrecision::kFp16) {
    throw UsageError("weights of fp16 are computed with in fp16", "--full_fp16",
                     "add --mixed_precision=fp16");
  }
  if (precision.full_bf16 && precision.mixed_precision != MixedPrecision::kBf16) {
    throw UsageError("weights of bf16 are computed with in bf16", "--full_bf16",
                     "add --mixed_precision=bf16");
  }
  if (precision.fused_backward_pass) validate_fused(options);
}

void validate_run(const TrainOptions& options) {
  if (options.run.stop_text_encoder_training && !options.run.train_text_encoder) {
    log_warning("--stop_text_encoder_training has no effect without --train_text_encoder");
  }
  if (options.optimizer.learning_rate_te && !options.run.train_text_encoder) {
    log_warning("--learning_rate_te has no effect without --train_text_encoder");
  }
  if (options.model.v2 && options.run.clip_skip > 0) {
    log_warning(
        "--clip_skip is unusual with --v2, whose text encoder ends at the layer before the last "
        "already");
  }
  if (options.dataset.conditioning_data_dir && !options.loss.masked_loss) {
    log_warning("--conditioning_data_dir has no effect without --masked_loss");
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

void validate_hub(const HubOptions& hub, const SaveOptions& save) {
  const bool uploads = hub.repo_id.has_value();
  warn_without(hub.save_state, "save_state_to_huggingface", uploads, "huggingface_repo_id");
  warn_without(hub.async_upload, "async_upload", uploads, "huggingface_repo_id");
  warn_without(hub.path_in_repo.has_value(), "huggingface_path_in_repo", uploads,
               "huggingface_repo_id");
  warn_without(hub.resume, "resume_from_huggingface", save.resume.has_value(), "resume");
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
  validate_optimizer(options);
  validate_precision(options);
  validate_run(options);
  validate_hypernetwork(options);
  validate_schedule(options);
  validate_validation(options.validation);
  validate(options.preview);
  validate_logs(options.log);
  validate_saves(options.save);
  validate_hub(options.hub, options.save);
  if (options.control.max_train_time) parse_train_time(*options.control.max_train_time);
}

std::string base_name(const TrainOptions& options) {
  return options.run.output_name.value_or("last");
}

}  // namespace sdtune
