#include "commands/prepare.h"

#include <ATen/ATen.h>

#include <cmath>
#include <unordered_set>

#include "base/error.h"
#include "base/log.h"
#include "base/rank.h"
#include "base/system.h"
#include "commands/device.h"
#include "commands/model_ids.h"
#include "commands/name_list.h"
#include "data/merge_metadata.h"
#include "data/picture_tree.h"
#include "formats/utf8.h"
#include "options/command_line.h"
#include "train/dataset_setup.h"
#include "train/latent_encoder.h"
#include "train/precision.h"

namespace sdtune {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kAllCores = 256;

// A VAE on its device, and what it was read from.
struct Vae {
  std::shared_ptr<const ModelSource> source;
  AutoencoderKL model;
  at::Device device;
};

Vae load_vae_for(const fs::path& path, MixedPrecision precision, const std::string& device_name) {
  const at::Device device = choose_device(device_name);
  const at::ScalarType type =
      choose_precision({.mixed_precision = precision}, device, computes_bf16(device)).vae;
  auto source = open_vae(path);
  return {source, load_frozen_vae(*source, type, device), device};
}

// Fills the cache. Returns the exit code: 1 where pictures could not be read, all others done.
// `fp32_option`: the command's that has the VAE compute in fp32.
int fill(const Dataset& dataset, const LatentCacheOptions& options, const Vae& vae,
         const std::string& fp32_option) {
  LatentCache cache(dataset, options);
  const LatentCacheReport report =
      cache.fill(latent_encoder(vae.model, *vae.source, vae.device, fp32_option));
  log_report(report);
  if (stop_signal() == 0) return report.failed > 0 ? 1 : 0;
  log_info("stopped; what was encoded is kept, and the same command goes on from there");
  return 128 + stop_signal();
}

// The options in the words of `train`.
DataOptions data_options(const PrepareOptions& options) {
  DataOptions data;
  data.train_data_dir = options.train_data_dir;
  data.max_data_loader_n_workers = options.max_data_loader_n_workers.value_or(kAllCores);
  data.buckets.resolution = options.max_resolution;
  data.buckets.enable_bucket = true;
  data.buckets.min_bucket_reso = options.min_bucket_reso;
  data.buckets.max_bucket_reso = options.max_bucket_reso;
  data.buckets.bucket_reso_steps = options.bucket_reso_steps;
  data.buckets.bucket_no_upscale = options.bucket_no_upscale;
  data.pictures = options.pictures;
  data.cache.cache_latents_to_disk = true;
  data.cache.cache_posterior = options.cache_posterior;
  data.cache.vae_batch_size = options.batch_size;
  data.cache.cache_names = options.cache_names;
  data.cache.skip_cache_check = options.skip_existing;
  return data;
}

std::vector<Sample> pictures_of(const PrepareOptions& options) {
  MergeOptions keys;
  keys.train_data_dir = options.train_data_dir;
  keys.full_path = options.full_path;
  keys.recursive = options.recursive;
  std::vector<Sample> samples;
  std::vector<fs::path> repeated, other_encodings;
  std::unordered_set<std::string> seen;
  for (const fs::path& picture : picture_tree(options.train_data_dir, options.recursive)) {
    const std::string key = metadata_key(keys, picture);
    if (!is_utf8(key)) {
      other_encodings.push_back(picture);
    } else if (!seen.insert(key).second) {
      repeated.push_back(picture);  // readers take the first one, too
    } else {
      samples.push_back({options.train_data_dir / picture, key, "", "", std::nullopt});
    }
  }
  warn_of_other_encodings(other_encodings);
  warn_of_repeated(repeated);
  if (samples.empty()) {
    throw Error("the folder has no pictures", options.train_data_dir.string(),
                "add --recursive if they lie in sub-folders");
  }
  return samples;
}

void log_ratio_errors(const Dataset& dataset) {
  double sum = 0;
  for (const Item& item : dataset.items) {
    const auto ratio = [](Size size) { return static_cast<double>(size.width) / size.height; };
    sum += std::abs(ratio(item.placement.bucket) - ratio(item.size));
  }
  log_info("mean difference between the proportions of pictures and buckets: {:.4f}",
           sum / static_cast<double>(dataset.items.size()));
}

void write_metadata(const PrepareOptions& options, const Dataset& dataset) {
  MetadataFile metadata = MetadataFile::read(options.in_json);
  for (const Item& item : dataset.items) {
    const Size bucket = item.placement.bucket;
    metadata.find_or_add(item.key).set_size("train_resolution", {bucket.width, bucket.height});
    if (options.debug) log_info("{}: {} x {}", item.key, bucket.width, bucket.height);
  }
  metadata.write(options.out_json);
  log_info("wrote {} entries to {}", metadata.entries().size(), options.out_json.string());
}

}  // namespace

int run_prepare(std::span<const std::string> args) {
  PrepareOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  MetadataFile::read(options.in_json);  // what is wrong with it is said before hours of work
  const DataOptions data = data_options(options);
  validate(data);
  const fs::path model = local_model(options.model_name_or_path, ModelUse::kVae);
  install_stop_signals();
  ImageIndex index(default_index_file(options.train_data_dir));
  index.load("/");
  const Dataset dataset = make_dataset(pictures_of(options), dataset_options(data)[0],
                                       {.threads = loader_threads(data), .index = &index});
  log_ratio_errors(dataset);

  LatentCacheOptions cache = latent_cache_options(data, &index);
  cache.rank = rank_from_environment();
  const Vae vae = load_vae_for(model, options.mixed_precision, options.device);
  const int exit_code = fill(dataset, cache, vae, "--mixed_precision=no");
  const bool is_stopped = exit_code > 1;
  if (!is_stopped && cache.rank.rank == 0) write_metadata(options, dataset);
  return exit_code;
}

int run_cache_latents(std::span<const std::string> args) {
  CacheLatentsOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  validate(options.dataset);
  const fs::path vae_path = local_model(
      options.model.vae.value_or(options.model.pretrained_model_name_or_path), ModelUse::kVae);
  install_stop_signals();
  const DatasetSetup data = read_dataset(options.dataset);
  LatentCacheOptions cache = latent_cache_options(options.dataset, data.index.get());
  cache.to_disk = true;
  cache.rank = rank_from_environment();
  const MixedPrecision precision =
      options.no_half_vae ? MixedPrecision::kNo : options.mixed_precision;
  return fill(data.dataset, cache, load_vae_for(vae_path, precision, options.device),
              "--no_half_vae");
}

}  // namespace sdtune
