#include "train/validation.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/philox.h"
#include "data/item_source.h"
#include "data/latent_encoding.h"
#include "train/latent_encoder.h"

namespace sdtune {

namespace {

// Stands where a training step's number would, so that no training step has the same noise.
constexpr int64_t kNoStep = -1;

SubsetOptions without_chance(SubsetOptions subset) {
  subset.flip_aug = subset.color_aug = subset.random_crop = subset.alpha_mask = false;
  subset.face_crop_aug_range.reset();
  subset.mask_dir.clear();
  CaptionOptions& caption = subset.caption;
  caption.shuffle_caption = false;
  caption.token_warmup_step = caption.caption_dropout_rate = caption.caption_tag_dropout_rate = 0;
  caption.caption_dropout_every_n_epochs = 0;
  return subset;
}

// The mean of the posterior, [1, 4, h, w] scaled, on the CPU.
at::Tensor latents_of(const Trainee& trainee, const Item& item, const SubsetOptions& subset) {
  SampleValues values = load_pixels({item, subset});
  const auto [width, height] = item.placement.bucket;
  const at::Tensor pixels = at::from_blob(values.pixels.data(), {1, 3, height, width}, at::kFloat);
  const at::Tensor no_noise =
      at::zeros({1, trainee.vae->config.latent_channels, height / 8, width / 8});
  return encode_latents(trainee, pixels, no_noise).to(at::kCPU);
}

std::string caption_of(const Item& item, const SubsetOptions& subset, uint64_t seed) {
  Random random(seed, Draw::kCaption, 0, item.id);
  return draw_caption(item.caption, subset.caption, {}, random);
}

// [B] int64: for each picture one timestep of the band, the same at each call.
at::Tensor timesteps_in_band(const DrawPosition& position, int64_t count, int64_t band) {
  constexpr int64_t kWidth = kTrainTimesteps / LossBands::kBands;
  return draw_timesteps(position, count, {.low = band * kWidth, .high = (band + 1) * kWidth});
}

}  // namespace

std::optional<Dataset> take_validation_pictures(Dataset& dataset,
                                                const ValidationOptions& options) {
  if (options.validation_split == 0) return std::nullopt;
  const auto seed = static_cast<uint64_t>(options.validation_seed);
  // A picture of several datasets is held back from all of them.
  std::map<std::filesystem::path, std::vector<size_t>> by_picture;
  for (size_t i = 0; i < dataset.items.size(); ++i) {
    by_picture[absolute_path(dataset.items[i].image)].push_back(i);
  }
  std::vector<std::pair<double, std::vector<size_t>>> order;
  for (auto& [picture, items] : by_picture) {
    const uint64_t id = dataset.items[items[0]].id;
    order.emplace_back(Random(seed, Draw::kValidationSplit, id).uniform(), std::move(items));
  }
  std::sort(order.begin(), order.end());
  const auto wanted = std::llround(options.validation_split * static_cast<double>(order.size()));
  const auto count = static_cast<size_t>(std::max<long long>(1, wanted));
  if (count >= order.size()) {
    throw UsageError(fmt::format("of {} pictures none would be left to train on", order.size()),
                     "--validation_split", "take a smaller share");
  }
  std::vector<bool> is_taken(dataset.items.size());
  for (size_t p = 0; p < count; ++p) {
    for (const size_t i : order[p].second) is_taken[i] = true;
  }
  Dataset taken;
  taken.buckets = dataset.buckets;
  taken.subsets = dataset.subsets;
  std::vector<Item> left;
  for (size_t i = 0; i < is_taken.size(); ++i) {
    (is_taken[i] ? taken.items : left).push_back(std::move(dataset.items[i]));
  }
  dataset.items = std::move(left);
  return taken;
}

Validation::Validation(const Dataset& dataset, const Trainee& trainee,
                       const ValidationOptions& options)
    : options_(options) {
  int64_t pictures = 0;
  for (size_t b = 0; b < dataset.buckets.size(); ++b) {
    for (const Item& item : dataset.items) {
      if (item.bucket == static_cast<int64_t>(b) && add(dataset, item, trainee, pictures)) {
        ++pictures;
      }
    }
  }
  if (batches_.empty()) throw Error("no picture for validation can be read", "--validation_split");
  if (options.max_validation_steps) {
    batches_.resize(std::min<size_t>(batches_.size(), *options.max_validation_steps));
  }
  log_info("validation: {} pictures in {} batches", pictures, batches_.size());
}

bool Validation::add(const Dataset& dataset, const Item& item, const Trainee& trainee,
                     int64_t number) {
  const SubsetOptions subset = without_chance(dataset.subsets[item.subset]);
  at::Tensor latents;
  try {
    latents = latents_of(trainee, item, subset);
  } catch (const Error& error) {
    log_warning("skipped {} in validation: {}", item.image.string(), error.what());
    return false;
  }
  check_finite({latents.const_data_ptr<float>(), static_cast<size_t>(latents.numel())}, item,
               hint_for_latents(trainee.precision.vae, "--no_half_vae"));
  const Bucket& bucket = dataset.buckets[item.bucket];
  const bool fits = !batches_.empty() && batches_.back().bucket == item.bucket &&
                    static_cast<int64_t>(batches_.back().latents.size()) < bucket.batch_size;
  if (!fits) batches_.push_back({.bucket = item.bucket, .first_sample = number});
  Batch& batch = batches_.back();
  batch.latents.push_back(latents);
  batch.captions.push_back(
      caption_of(item, subset, static_cast<uint64_t>(options_.validation_seed)));
  return true;
}

bool Validation::is_due(int64_t step, bool ends_epoch, int64_t epochs_done) const {
  const auto& steps = options_.validate_every_n_steps;
  if (steps && step % *steps == 0) return true;
  if (steps && !options_.validate_every_n_epochs) return false;
  return ends_epoch && epochs_done % options_.validate_every_n_epochs.value_or(1) == 0;
}

ValidationResult Validation::measure(Trainee& trainee) const {
  const at::NoGradGuard no_grad;
  const AveragedWeights averaged(*trainee.optimizer);
  ValidationResult result;
  const auto seed = static_cast<uint64_t>(options_.validation_seed);
  for (const Batch& batch : batches_) {
    const at::Tensor latents = at::cat(batch.latents).to(trainee.device);
    const at::Tensor context = trainee.text_states.encode(trainee, batch.captions);
    result.pictures += latents.size(0);
    for (int64_t band = 0; band < LossBands::kBands; ++band) {
      const DrawPosition position{seed, kNoStep - band, batch.first_sample};
      const at::Tensor timesteps = timesteps_in_band(position, latents.size(0), band);
      const DiffusedBatch diffused = diffuse_at(trainee.objective, latents, position, timesteps);
      const at::Tensor prediction =
          trainee.unet.forward(diffused.noisy, diffused.timesteps, context);
      const at::Tensor losses =
          losses_of(trainee.objective, prediction, diffused, std::nullopt).plain.to(at::kCPU);
      for (int64_t i = 0; i < losses.size(0); ++i) {
        result.bands.add(timesteps[i].item<int64_t>(), losses[i].item<double>());
      }
    }
  }
  return result;
}

}  // namespace sdtune
