// Batches in the planned order, loaded ahead of the training step by worker threads. The order and
// the values depend on the plan alone, never on the threads. What a sample's numbers are decides
// the ItemSource.
#pragma once

#include <cstdint>
#include <deque>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "data/dataset.h"
#include "data/epoch_plan.h"
#include "data/item_source.h"

namespace sdtune {

struct LoaderOptions {
  uint64_t seed = 0;
  int64_t first_epoch = 0;  // where to start: a resumed run's place
  int64_t first_batch = 0;  // in that epoch
  int threads = 4;
  int batches_ahead = 4;  // loaded or being loaded beyond the one in use
  int64_t gradient_accumulation_steps =
      1;                    // batches in an optimizer step, for captions that warm up
  int64_t total_steps = 0;  // likewise
  ItemSource source;
};

// B pictures of one bucket. `pixels` is [B, 3, size.height, size.width] or empty, `latents`
// [B, 4, size.height / 8, size.width / 8] or empty, `alpha_mask` [B, size.height, size.width] or
// empty; pictures without a mask count as ones when another of the batch has one.
struct LoadedBatch {
  int64_t epoch = 0;
  int64_t index = 0;  // in the epoch
  bool is_last_of_epoch = false;
  Size size;
  std::vector<int64_t> items;  // indices into Dataset::items
  std::vector<uint64_t> ids;   // Item::id
  std::vector<int64_t> repeats;
  std::vector<std::string> captions;
  std::vector<float> pixels;
  std::vector<float> latents;
  std::vector<float> alpha_mask;
  std::vector<float> loss_weights;  // Item::loss_weight
};

class BatchLoader {
 public:
  // The dataset must outlive the loader. Throws Error when first_batch is not in the epoch.
  BatchLoader(const Dataset& dataset, LoaderOptions options);
  // Waits for the pictures being read; those not begun are dropped.
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  // The next batch of the plan; epochs follow each other without end and without a pause between
  // them. A picture that cannot be loaded is named in a warning, counted in skipped() and left out,
  // so that its batch is shorter. A batch that loses all its pictures still comes, with no items:
  // it keeps its place in the count, and the caller goes on to the next. Throws Error when as many
  // pictures as an epoch has failed one after another.
  LoadedBatch next();

  // Pictures that failed so far, each as often as it did.
  const std::vector<SkippedImage>& skipped() const { return skipped_; }

 private:
  struct Pending {
    LoadedBatch batch;  // all but what the futures will bring
    std::vector<PlannedSample> planned;
    std::vector<std::future<SampleValues>> values;
  };

  void plan_next_epoch();
  void start_batch();
  void take(const PlannedSample& sample, std::future<SampleValues>& value, LoadedBatch& batch);
  std::string caption_of(const Item& item, const PlannedSample& sample,
                         const LoadedBatch& batch) const;
  void note_failure(int64_t item_index, const std::string& reason);

  const Dataset& dataset_;
  LoaderOptions options_;
  int64_t epoch_ = 0;  // of plan_
  std::vector<Batch> plan_;
  size_t next_in_plan_ = 0;
  std::deque<Pending> pending_;
  std::vector<SkippedImage> skipped_;
  std::vector<bool> is_named_;  // for each item
  int64_t failures_in_a_row_ = 0;
  ThreadPool pool_;  // last: its threads end before what they read goes away
};

}  // namespace sdtune
