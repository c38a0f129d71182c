#include "train/train_options.h"

#include "base/error.h"
#include "base/log.h"
#include "base/rank.h"
#include "optim/make_optimizer.h"
#include "train/block_rates.h"
#include "train/dataset_setup.h"

namespace sdtune {

namespace {

// Names and settings are refused before a model is read.
void validate_optimizer(const OptimizerOptions& options) {
  if (options.use_8bit_adam + options.use_lion_optimizer + !options.optimizer_type.empty() > 1) {
    throw UsageError("more than one optimizer is asked for",
                     "--optimizer_type, --use_8bit_adam, --use_lion_optimizer", "give one of them");
  }
  const auto optimizer =
      make_optimizer(options.type(), {}, OptimizerArguments(options.optimizer_args));
  if (options.block_lr) BlockRates{*options.block_lr};
  if (!optimizer->follows_schedule() && options.lr_scheduler != "constant") {
    log_warning("{} sets its rate itself; --lr_scheduler={} has no effect", options.type(),
                options.lr_scheduler);
  }
}

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

}  // namespace

void validate(const TrainOptions& options) {
  validate(options.dataset);
  validate_optimizer(options.optimizer);
  validate_run(options);
}

std::string base_name(const TrainOptions& options) {
  return options.run.output_name.value_or("last");
}

}  // namespace sdtune
