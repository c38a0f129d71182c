#include "data/dataset_facts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "text/caption.h"

namespace sdtune {

std::string fingerprint(const Dataset& dataset) {
  Hasher hasher;
  for (const Item& item : dataset.items) {
    hasher.update(item.image.filename().string() + "\n" + item.caption + "\n");
  }
  return hasher.hex();
}

std::string fingerprint_of_plan(const Dataset& dataset) {
  Hasher hasher;
  for (const Item& item : dataset.items) {
    const Bucket& bucket = dataset.buckets[item.bucket];
    hasher.update(fmt::format("{} {} {}x{} {} {}\n", item.id, item.repeats, bucket.size.width,
                              bucket.size.height, bucket.batch_size, item.loss_weight));
  }
  return hasher.hex();
}

bool augments_pixels(const Dataset& dataset) {
  return std::ranges::any_of(dataset.subsets, changes_pixels);
}

bool captions_stay(const Dataset& dataset) {
  return std::ranges::all_of(dataset.items, [&](const Item& item) {
    return is_constant(item.caption, dataset.subsets[item.subset].caption);
  });
}

bool has_masks(const Dataset& dataset) {
  return std::ranges::any_of(dataset.subsets, [](const SubsetOptions& subset) {
    return subset.alpha_mask || !subset.mask_dir.empty();
  });
}

}  // namespace sdtune
