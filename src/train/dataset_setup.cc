#include "train/dataset_setup.h"

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/numbers.h"
#include "data/dataset_config.h"
#include "data/image_index.h"

namespace sdtune {

namespace {

namespace fs = std::filesystem;

std::optional<FaceCropRange> face_crop_range(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  if (const auto words = list_words(*text); words.size() == 2) {
    const auto low = number_in<double>(words[0]), high = number_in<double>(words[1]);
    if (low && high && *low > 0 && *low <= *high) return FaceCropRange{*low, *high};
  }
  throw UsageError(fmt::format("\"{}\" is not two numbers, the first not above the second", *text),
                   "--face_crop_aug_range", "as 2.0,4.0");
}

CaptionOptions caption_options(const CaptionFlags& flags) {
  CaptionOptions options;
  options.shuffle_caption = flags.shuffle_caption;
  options.enable_wildcard = flags.enable_wildcard;
  options.caption_separator = flags.caption_separator;
  options.keep_tokens = flags.keep_tokens;
  options.keep_tokens_separator = flags.keep_tokens_separator;
  options.secondary_separator = flags.secondary_separator.value_or("");
  options.caption_prefix = flags.caption_prefix.value_or("");
  options.caption_suffix = flags.caption_suffix.value_or("");
  options.token_warmup_min = flags.token_warmup_min;
  options.token_warmup_step = flags.token_warmup_step;
  options.caption_dropout_rate = flags.caption_dropout_rate;
  options.caption_dropout_every_n_epochs = flags.caption_dropout_every_n_epochs;
  options.caption_tag_dropout_rate = flags.caption_tag_dropout_rate;
  return options;
}

SubsetOptions subset_options(const DataOptions& options) {
  SubsetOptions subset;
  subset.image_dir = options.train_data_dir.value_or("");
  subset.metadata_file = options.in_json.value_or("");
  subset.caption_extension = options.captions.caption_extension;
  subset.num_repeats = options.dataset_repeats;
  subset.caption = caption_options(options.captions);
  subset.flip_aug = options.pictures.flip_aug;
  subset.color_aug = options.pictures.color_aug;
  subset.random_crop = options.pictures.random_crop;
  subset.face_crop_aug_range = face_crop_range(options.pictures.face_crop_aug_range);
  subset.alpha_mask = options.pictures.alpha_mask;
  subset.mask_dir = options.conditioning_data_dir.value_or("");
  if (options.pictures.resize_interpolation) {
    subset.resize_interpolation =
        parse_interpolation(*options.pictures.resize_interpolation, "--resize_interpolation");
  }
  return subset;
}

DatasetOptions fallback_options(const DataOptions& options) {
  const BucketFlags& flags = options.buckets;
  DatasetOptions dataset;
  dataset.has_resolution = flags.resolution.has_value();
  dataset.buckets = {
      flags.resolution ? Size{flags.resolution->width, flags.resolution->height} : Size{},
      flags.enable_bucket,
      flags.bucket_no_upscale,
      static_cast<int>(flags.min_bucket_reso),
      static_cast<int>(flags.max_bucket_reso),
      static_cast<int>(flags.bucket_reso_steps)};
  dataset.batch_size = options.train_batch_size;
  dataset.subsets = {subset_options(options)};
  return dataset;
}

// The folder that the index is named after.
fs::path first_folder(const std::vector<DatasetOptions>& datasets) {
  const SubsetOptions& subset = datasets[0].subsets[0];
  if (!subset.image_dir.empty()) return subset.image_dir;
  return subset.metadata_file.parent_path();
}

}  // namespace

void validate(const DataOptions& options) {
  const int64_t longest = options.captions.max_token_length;
  if (longest != 75 && longest != 150 && longest != 225) {
    throw UsageError("the longest caption is 75, 150 or 225 tokens", "--max_token_length");
  }
  const BucketFlags& buckets = options.buckets;
  if (buckets.bucket_reso_steps % 64 != 0) {
    throw UsageError("sides of buckets must be multiples of 64", "--bucket_reso_steps");
  }
  if (buckets.min_bucket_reso > buckets.max_bucket_reso) {
    throw UsageError("the shortest side of a bucket is above the longest",
                     "--min_bucket_reso, --max_bucket_reso");
  }
  if (buckets.resolution &&
      (buckets.resolution->width % 8 != 0 || buckets.resolution->height % 8 != 0)) {
    throw UsageError("width and height must be multiples of 8", "--resolution",
                     "multiples of 64 are usual, as 512");
  }
  if (options.dataset_config) {
    if (options.train_data_dir || options.in_json) {
      log_warning("--train_data_dir and --in_json do not count beside --dataset_config");
    }
  } else if (!options.train_data_dir) {
    throw UsageError("no pictures are given", "--train_data_dir",
                     "name their folder, or a --dataset_config");
  }
  if (options.cache.cache_posterior && !options.cache.cache_latents &&
      !options.cache.cache_latents_to_disk && !uses_found_latents(options)) {
    throw UsageError("there is no cache whose posterior could be kept", "--cache_posterior",
                     "add --cache_latents or --cache_latents_to_disk");
  }
}

std::vector<DatasetOptions> dataset_options(const DataOptions& options) {
  const DatasetOptions fallback = fallback_options(options);
  if (!options.dataset_config) return {fallback};
  return read_dataset_config(*options.dataset_config, fallback);
}

bool uses_found_latents(const DataOptions& options) {
  return !options.buckets.resolution && !options.dataset_config;
}

int loader_threads(const DataOptions& options) {
  const int64_t cores = std::max(1u, std::thread::hardware_concurrency());
  return static_cast<int>(std::clamp<int64_t>(options.max_data_loader_n_workers, 1, cores));
}

DatasetSetup read_dataset(const DataOptions& options) {
  const std::vector<DatasetOptions> datasets = dataset_options(options);
  ScanOptions scan;
  scan.threads = loader_threads(options);
  scan.small_buckets = options.buckets.small_buckets;
  auto index = std::make_unique<ImageIndex>(default_index_file(first_folder(datasets)));
  index->load("/");
  scan.index = index.get();
  return {make_dataset(datasets, scan), std::move(index)};
}

LatentCacheOptions latent_cache_options(const DataOptions& options, ImageIndex* index) {
  LatentCacheOptions cache;
  cache.to_disk = options.cache.cache_latents_to_disk;
  cache.batch_size = options.cache.vae_batch_size;
  cache.posterior = options.cache.cache_posterior;
  cache.naming = options.cache.cache_names;
  cache.sdxl_names = options.cache.read_sdxl_npz;
  cache.skip_check = options.cache.skip_cache_check;
  cache.fast_decode = options.pictures.fast_decode;
  cache.threads = loader_threads(options);
  cache.index = index;
  return cache;
}

void log_report(const LatentCacheReport& report) {
  log_info("latents: {} encoded, {} reused{}", report.encoded, report.reused,
           report.failed > 0 ? fmt::format(", {} pictures failed", report.failed) : "");
  for (const auto& [reason, count] : report.stale) {
    log_info("  {} made anew: {}", count, reason);
  }
}

}  // namespace sdtune
