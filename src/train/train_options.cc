#include "train/train_options.h"

#include "base/error.h"
#include "base/log.h"
#include "base/rank.h"
#include "train/dataset_setup.h"

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

}  // namespace

void validate(const TrainOptions& options) {
  validate(options.dataset);
  validate_run(options);
}

std::string base_name(const TrainOptions& options) {
  return options.run.output_name.value_or("last");
}

}  // namespace sdtune
