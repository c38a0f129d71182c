#include "data/latent_encoding.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <future>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/philox.h"
#include "base/progress.h"
#include "base/system.h"
#include "base/thread_pool.h"
#include "data/headers.h"
#include "data/item_source.h"
#include "image/decode.h"

namespace sdtune {
namespace {

constexpr size_t kWritesBehind = 64;

// A picture on its way to the encoder.
struct Loaded {
  size_t item = 0;
  SampleValues values;
  std::string image_hash;
};

// Batches of one shape, the largest first: a lack of memory shows at once.
std::vector<std::vector<size_t>> batches_of(std::vector<size_t> items, const Dataset& dataset,
                                            int64_t batch_size) {
  const auto shape = [&](size_t item) { return dataset.items[item].placement.bucket; };
  const auto area = [](Size size) { return int64_t{size.width} * size.height; };
  std::stable_sort(items.begin(), items.end(), [&](size_t a, size_t b) {
    return std::pair(-area(shape(a)), shape(a)) < std::pair(-area(shape(b)), shape(b));
  });
  std::vector<std::vector<size_t>> batches;
  for (const size_t item : items) {
    const bool fits = !batches.empty() &&
                      static_cast<int64_t>(batches.back().size()) < batch_size &&
                      shape(batches.back()[0]) == shape(item);
    if (!fits) batches.emplace_back();
    batches.back().push_back(item);
  }
  return batches;
}

class Pass {
 public:
  Pass(const Dataset& dataset, const LatentEncoder& encoder, const EncodingOptions& options,
       const std::function<void(EncodedItem)>& keep)
      : dataset_(dataset),
        encoder_(encoder),
        options_(options),
        keep_(keep),
        pool_(options.threads, end_image_thread) {}

  EncodingReport run(const std::vector<size_t>& items) {
    const auto batches = batches_of(items, dataset_, options_.batch_size);
    const size_t ahead = 2 + static_cast<size_t>(options_.threads / options_.batch_size);
    Progress progress(
        {.label = "caching latents", .total = static_cast<int64_t>(items.size()), .unit = "img"});
    size_t started = 0;
    for (size_t i = 0; i < batches.size() && stop_signal() == 0; ++i) {
      for (; started < std::min(batches.size(), i + 1 + ahead); ++started) start(batches[started]);
      encode(finish_loading());
      progress.update(report_.encoded + report_.failed);
    }
    while (!writing_.empty()) finish_writing();
    return report_;
  }

 private:
  void start(const std::vector<size_t>& batch) {
    auto& futures = loading_.emplace_back();
    for (const size_t item : batch) {
      futures.push_back(pool_.submit([this, item] { return load(item); }));
    }
  }

  Loaded load(size_t number) const {
    const Item& item = dataset_.items[number];
    // As it is kept: without what is drawn at each appearance.
    SubsetOptions subset = dataset_.subsets[item.subset];
    subset.flip_aug = subset.random_crop = subset.color_aug = false;
    subset.face_crop_aug_range.reset();
    // Hashed before the pixels are read: a picture that changes in between is noticed next time.
    std::string hash =
        options_.index ? picture_hash(item.image, *options_.index) : hash_file(item.image);
    return {number, load_pixels({item, subset}, options_.fast_decode), std::move(hash)};
  }

  std::vector<Loaded> finish_loading() {
    std::vector<Loaded> batch;
    for (auto& future : loading_.front()) {
      try {
        batch.push_back(future.get());
      } catch (const Error& error) {
        log_warning("skipped {}: {}", error.where(), error.what());
        ++report_.failed;
      }
    }
    loading_.pop_front();
    return batch;
  }

  void encode(std::vector<Loaded> batch) {
    if (batch.empty()) return;
    std::vector<EncodedItem> encoded(batch.size());
    encode_side(batch, /*flipped=*/false, encoded);
    const bool flips = std::any_of(batch.begin(), batch.end(), [&](const Loaded& loaded) {
      return subset_of(loaded).flip_aug;
    });
    if (flips) encode_side(batch, /*flipped=*/true, encoded);
    for (size_t i = 0; i < batch.size(); ++i) {
      encoded[i].item = batch[i].item;
      encoded[i].image_hash = batch[i].image_hash;
      encoded[i].entry.alpha_mask = std::move(batch[i].values.alpha_mask);
      writing_.push_back(pool_.submit([this, item = std::make_shared<EncodedItem>(std::move(
                                                 encoded[i]))] { keep_(std::move(*item)); }));
      ++report_.encoded;
    }
    while (writing_.size() > kWritesBehind) finish_writing();
  }

  void encode_side(const std::vector<Loaded>& batch, bool flipped,
                   std::vector<EncodedItem>& encoded) const {
    const Size size = dataset_.items[batch[0].item].placement.bucket;
    std::vector<float> pixels;
    for (const Loaded& loaded : batch) {
      const std::vector<float>& own = loaded.values.pixels;
      pixels.insert(pixels.end(), own.begin(), own.end());
    }
    if (flipped) pixels = mirrored_planes(std::move(pixels), static_cast<size_t>(size.width));
    const LatentMoments moments = encoder_.encode(pixels, static_cast<int64_t>(batch.size()), size);
    const size_t count = moments.mean.size() / batch.size();
    for (size_t i = 0; i < batch.size(); ++i) {
      if (flipped && !subset_of(batch[i]).flip_aug) continue;
      const auto mean = std::span(moments.mean).subspan(i * count, count);
      const auto logvar = std::span(moments.logvar).subspan(i * count, count);
      Latents& kept = flipped ? encoded[i].entry.flipped : encoded[i].entry.plain;
      Random random(hash_number(batch[i].image_hash), Draw::kCachedPosterior,
                    static_cast<uint64_t>(size.width), static_cast<uint64_t>(size.height), flipped);
      kept.sample = sample_posterior(mean, logvar, random);
      check_finite(kept.sample, dataset_.items[batch[i].item], encoder_.hint);
      if (!options_.posterior) continue;
      kept.mean.assign(mean.begin(), mean.end());
      kept.logvar.assign(logvar.begin(), logvar.end());
    }
  }

  const SubsetOptions& subset_of(const Loaded& loaded) const {
    return dataset_.subsets[dataset_.items[loaded.item].subset];
  }

  void finish_writing() {
    writing_.front().get();
    writing_.pop_front();
  }

  const Dataset& dataset_;
  const LatentEncoder& encoder_;
  const EncodingOptions& options_;
  const std::function<void(EncodedItem)>& keep_;
  EncodingReport report_;
  std::deque<std::vector<std::future<Loaded>>> loading_;
  std::deque<std::future<void>> writing_;
  ThreadPool pool_;  // last: its threads end before what they use goes away
};

}  // namespace

std::vector<float> sample_posterior(std::span<const float> mean, std::span<const float> logvar,
                                    Random& random) {
  std::vector<float> values(mean.size());
  random.fill_normal(values);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = mean[i] + std::exp(0.5f * std::clamp(logvar[i], -30.0f, 20.0f)) * values[i];
  }
  return values;
}

void check_finite(std::span<const float> latents, const Item& item, const std::string& hint) {
  if (std::all_of(latents.begin(), latents.end(), [](float v) { return std::isfinite(v); })) return;
  throw Error("the VAE's latents of this picture are not finite numbers", item.image.string(),
              hint);
}

std::vector<float> mirrored_planes(std::vector<float> values, size_t width) {
  for (size_t row = 0; row < values.size(); row += width) {
    std::reverse(values.begin() + static_cast<ptrdiff_t>(row),
                 values.begin() + static_cast<ptrdiff_t>(row + width));
  }
  return values;
}

EncodingReport encode_items(const Dataset& dataset, const std::vector<size_t>& items,
                            const LatentEncoder& encoder, const EncodingOptions& options,
                            const std::function<void(EncodedItem)>& keep) {
  if (items.empty()) return {};
  return Pass(dataset, encoder, options, keep).run(items);
}

}  // namespace sdtune
