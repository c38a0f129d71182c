#include "train/batch_source.h"

#include "base/log.h"
#include "base/system.h"
#include "data/dataset_facts.h"
#include "train/latent_encoder.h"

namespace sdtune {

namespace {

BatchSource from_pictures(const TrainOptions& options) {
  return {pixel_source(options.dataset.pictures.fast_decode), nullptr};
}

}  // namespace

BatchSource make_batch_source(const TrainOptions& options, const DatasetSetup& data,
                              const Trainee& trainee) {
  const CacheFlags& flags = options.dataset.cache;
  const bool keeps = flags.cache_latents || flags.cache_latents_to_disk;
  LatentCacheOptions settings = latent_cache_options(options.dataset, data.index.get());
  if (!keeps) {
    if (!uses_found_latents(options.dataset) || augments_pixels(data.dataset)) {
      return from_pictures(options);
    }
    // Metadata made by `prepare` alone is enough, as it was in sd-scripts.
    settings.to_disk = true;
  }
  const LatentEncoder encoder =
      latent_encoder(*trainee.vae, *trainee.source, trainee.device, "--no_half_vae");
  auto latents = std::make_unique<LatentCache>(data.dataset, settings);
  if (keeps) {
    log_report(latents->fill(encoder));
    if (const int signal = stop_signal()) return {{}, nullptr, signal};
  } else if (latents->is_complete(encoder.fingerprint)) {
    log_info("all pictures have latents beside them, which are used");
  } else {
    log_warning(
        "not every picture has latents that can be used; all are encoded as they come. `sdtune "
        "prepare` makes the missing ones");
    return from_pictures(options);
  }
  ItemSource items = latents->source();
  return {std::move(items), std::move(latents)};
}

}  // namespace sdtune
