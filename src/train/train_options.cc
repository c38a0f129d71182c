#include "train/train_options.h"

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/rank.h"

namespace sdtune {

namespace {

void validate_dataset(const DataOptions& options) {
  if (options.max_token_length != 75 && options.max_token_length != 150 &&
      options.max_token_length != 225) {
    throw UsageError("the longest caption is 75, 150 or 225 tokens", "--max_token_length");
  }
  if (options.bucket_reso_steps % 64 != 0) {
    throw UsageError("sides of buckets must be multiples of 64", "--bucket_reso_steps");
  }
  if (options.min_bucket_reso > options.max_bucket_reso) {
    throw UsageError("the shortest side of a bucket is above the longest",
                     "--min_bucket_reso, --max_bucket_reso");
  }
  if (options.resolution &&
      (options.resolution->width % 8 != 0 || options.resolution->height % 8 != 0)) {
    throw UsageError("width and height must be multiples of 8", "--resolution",
                     "multiples of 64 are usual, as 512");
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
  validate_dataset(options.dataset);
  validate_run(options);
}

int loader_threads(const DataOptions& options) {
  const int64_t cores = std::max(1u, std::thread::hardware_concurrency());
  return static_cast<int>(std::clamp<int64_t>(options.max_data_loader_n_workers, 1, cores));
}

std::string base_name(const TrainOptions& options) {
  return options.run.output_name.value_or("last");
}

}  // namespace sdtune
