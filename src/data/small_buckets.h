// What becomes of buckets with fewer samples than a batch: a choice, and a pure function that says
// where each bucket's pictures go. Placing the pictures anew is the caller's (buckets.h, cover()).
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "image/image.h"

namespace sdtune {

enum class SmallBuckets {
  kShortBatch,  // they stay, and their batches are short: sd-scripts' way
  kDrop,        // their pictures are not trained on, which may leave none at all
  kMerge,       // their pictures go into the bucket of the nearest shape
};

// For each bucket (shape to samples in an epoch) the one where its pictures end up: itself, another
// one, or none when they are dropped.
//
// kMerge: again and again the bucket with the fewest samples, while that is less than a batch, goes
// with all it holds into the nearest bucket that has a batch, or, while none has, into the nearest
// of all. So no small bucket is left unless all samples together are fewer than a batch; nearest is
// the least difference of width / height, then of area, then the smaller shape.
std::map<Size, std::optional<Size>> settle_small_buckets(const std::map<Size, int64_t>& samples,
                                                         int64_t batch_size, SmallBuckets choice);

}  // namespace sdtune
