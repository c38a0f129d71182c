#include "data/loader.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "image/decode.h"

namespace sdtune {

BatchLoader::BatchLoader(const Dataset& dataset, LoaderOptions options)
    : dataset_(dataset),
      options_(std::move(options)),
      epoch_(options_.first_epoch),
      is_named_(dataset.items.size()),
      pool_(options_.threads, end_image_thread) {
  plan_ = plan_epoch(dataset_, options_.seed, epoch_);
  const int64_t first = options_.first_batch;
  if (plan_.empty() || first < 0 || first >= static_cast<int64_t>(plan_.size())) {
    throw Error(
        fmt::format("batch {} of an epoch of {} batches cannot be loaded", first, plan_.size()), "",
        "the dataset or the batch size differ from those of the run being resumed");
  }
  next_in_plan_ = static_cast<size_t>(first);
}

BatchLoader::~BatchLoader() = default;

void BatchLoader::plan_next_epoch() {
  ++epoch_;
  plan_ = plan_epoch(dataset_, options_.seed, epoch_);
  next_in_plan_ = 0;
}

void BatchLoader::start_batch() {
  if (next_in_plan_ == plan_.size()) plan_next_epoch();
  Batch& planned = plan_[next_in_plan_];
  Pending pending;
  pending.batch.epoch = epoch_;
  pending.batch.index = static_cast<int64_t>(next_in_plan_);
  pending.batch.is_last_of_epoch = next_in_plan_ + 1 == plan_.size();
  pending.batch.size = dataset_.buckets[planned.bucket].size;
  for (const PlannedSample& sample : planned.samples) {
    const Item& item = dataset_.items[sample.item];
    const Appearance appearance{item, dataset_.subsets[item.subset], options_.seed, epoch_,
                                sample.repeat};
    pending.values.push_back(
        pool_.submit([this, appearance] { return options_.source(appearance); }));
  }
  pending.planned = std::move(planned.samples);
  pending_.push_back(std::move(pending));
  ++next_in_plan_;
}

LoadedBatch BatchLoader::next() {
  const size_t wanted = static_cast<size_t>(std::max(0, options_.batches_ahead)) + 1;
  while (pending_.size() < wanted) start_batch();
  Pending pending = std::move(pending_.front());
  pending_.pop_front();
  for (size_t i = 0; i < pending.values.size(); ++i) {
    take(pending.planned[i], pending.values[i], pending.batch);
  }
  return std::move(pending.batch);
}

void BatchLoader::take(const PlannedSample& sample, std::future<SampleValues>& value,
                       LoadedBatch& batch) {
  const Item& item = dataset_.items[sample.item];
  SampleValues values;
  try {
    values = value.get();
  } catch (const std::exception& error) {
    note_failure(sample.item, error.what());
    return;
  }
  failures_in_a_row_ = 0;
  const size_t area = size_t{1} * batch.size.width * batch.size.height;
  const size_t before = batch.items.size();
  if (!values.alpha_mask.empty() || !batch.alpha_mask.empty()) {
    batch.alpha_mask.resize(before * area, 1.0f);
    if (values.alpha_mask.empty()) values.alpha_mask.assign(area, 1.0f);
  }
  const auto append = [](std::vector<float>& to, const std::vector<float>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  append(batch.pixels, values.pixels);
  append(batch.latents, values.latents);
  append(batch.alpha_mask, values.alpha_mask);
  batch.items.push_back(sample.item);
  batch.ids.push_back(item.id);
  batch.repeats.push_back(sample.repeat);
  batch.loss_weights.push_back(static_cast<float>(item.loss_weight));
  batch.captions.push_back(caption_of(item, sample, batch));
}

std::string BatchLoader::caption_of(const Item& item, const PlannedSample& sample,
                                    const LoadedBatch& batch) const {
  const int64_t accumulation = options_.gradient_accumulation_steps;
  const auto steps_per_epoch =
      (static_cast<int64_t>(plan_.size()) + accumulation - 1) / accumulation;
  const int64_t step = batch.epoch * steps_per_epoch + batch.index / accumulation;
  Random random(options_.seed, Draw::kCaption, static_cast<uint64_t>(batch.epoch), item.id,
                static_cast<uint64_t>(sample.repeat));
  return draw_caption(item.caption, dataset_.subsets[item.subset].caption,
                      {batch.epoch, step, options_.total_steps}, random);
}

void BatchLoader::note_failure(int64_t item_index, const std::string& reason) {
  const Item& item = dataset_.items[item_index];
  if (!is_named_[item_index]) log_warning("skipped {}: {}", item.image.string(), reason);
  is_named_[item_index] = true;
  skipped_.push_back({item.image, reason});
  if (++failures_in_a_row_ >= dataset_.samples_per_epoch()) {
    throw Error(
        fmt::format("no picture of the dataset can be loaded any more; the last said: {}", reason),
        item.image.string(), "check that the folder with the pictures is still there");
  }
}

}  // namespace sdtune
