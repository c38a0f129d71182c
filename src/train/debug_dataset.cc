#include "train/debug_dataset.h"

#include <chrono>
#include <cstdio>
#include <memory>

#include "base/log.h"
#include "base/system.h"
#include "data/loader.h"
#include "train/dataset_setup.h"

namespace sdtune {

namespace {

void print_batch(const Dataset& dataset, const LoadedBatch& batch) {
  std::string text = fmt::format("epoch {}, batch {}: {} x {}\n", batch.epoch + 1, batch.index + 1,
                                 batch.size.width, batch.size.height);
  for (size_t i = 0; i < batch.items.size(); ++i) {
    text += fmt::format("  {} (repeat {}): \"{}\"\n", dataset.items[batch.items[i]].key,
                        batch.repeats[i] + 1, batch.captions[i]);
  }
  std::fputs(text.c_str(), stdout);
}

}  // namespace

int debug_dataset(const TrainOptions& options) {
  const DatasetSetup data = read_dataset(options.dataset);
  LatentCacheOptions cache_options = latent_cache_options(options.dataset, data.index.get());
  cache_options.skip_check = true;  // there is no VAE to compare with
  std::unique_ptr<LatentCache> cache;
  LoaderOptions loader_options{
      .seed = static_cast<uint64_t>(options.run.seed.value_or(0)),
      .threads = loader_threads(options.dataset),
      .gradient_accumulation_steps = options.run.gradient_accumulation_steps,
      .total_steps = options.run.max_train_steps,
      .source = pixel_source(options.dataset.pictures.fast_decode)};
  if (options.dataset.cache.cache_latents_to_disk) {
    cache = std::make_unique<LatentCache>(data.dataset, cache_options);
    if (cache->is_complete("")) {
      loader_options.source = cache->source();
    } else {
      log_warning("not every picture has latents beside it; the pictures are read");
    }
  }
  const int64_t epochs = options.run.max_train_epochs.value_or(1);
  BatchLoader loader(data.dataset, loader_options);
  for (int64_t epoch = 0; epoch < epochs && stop_signal() == 0; ++epoch) {
    const auto begin = std::chrono::steady_clock::now();
    int64_t images = 0;
    for (bool more = true; more && stop_signal() == 0;) {
      const LoadedBatch batch = loader.next();
      print_batch(data.dataset, batch);
      images += static_cast<int64_t>(batch.items.size());
      more = !batch.is_last_of_epoch;
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    log_info("epoch {}: {} pictures in {:.2f} s, {:.1f} img/s, {:.3f} GB of memory", epoch + 1,
             images, seconds.count(), static_cast<double>(images) / seconds.count(),
             static_cast<double>(resident_bytes()) / 1e9);
  }
  return stop_signal() == 0 ? 0 : 128 + stop_signal();
}

}  // namespace sdtune
