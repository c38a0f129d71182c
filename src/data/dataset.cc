#include "data/dataset.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "data/folder_index.h"
#include "data/headers.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;

// A picture listed, not yet looked at.
struct Listed {
  Sample sample;
  int64_t dataset = 0;
  int64_t subset = 0;  // in all datasets
};

[[noreturn]] void throw_empty(const SubsetOptions& subset, size_t listed) {
  const bool is_plain = subset.metadata_file.empty();
  const fs::path& place = is_plain ? subset.image_dir : subset.metadata_file;
  if (listed > 0) {
    throw Error(fmt::format("none of the {} pictures can be used", listed), place.string(),
                "the warnings above name each one and its fault");
  }
  throw Error(is_plain ? "the folder has no pictures" : "the metadata names no pictures",
              place.string(),
              is_plain ? "looked for .png .jpg .jpeg .webp .bmp .avif .jxl .gif .tif .tiff in the "
                         "folder itself, not in its sub-folders; correct --train_data_dir"
                       : "it should look like {\"picture\": {\"caption\": \"...\"}}");
}

// Without a resolution each picture goes to the bucket that its metadata was prepared for.
void check_train_resolutions(const DatasetOptions& dataset, const SubsetOptions& subset,
                             const std::vector<Sample>& samples) {
  if (dataset.has_resolution) return;
  const std::string hint = "give --resolution, as --resolution 512,512";
  for (const Sample& sample : samples) {
    if (sample.train_resolution) continue;
    if (subset.metadata_file.empty())
      throw UsageError("no resolution is given", "--resolution", hint);
    throw UsageError(
        fmt::format("no resolution is given, and the metadata has no train_resolution for "
                    "{}",
                    sample.image.string()),
        subset.metadata_file.string(), hint);
  }
  if (dataset.buckets.no_upscale) {
    throw UsageError("buckets without upscaling cannot follow the metadata's train_resolution",
                     "--bucket_no_upscale", hint);
  }
}

std::vector<Listed> list_pictures(const std::vector<DatasetOptions>& datasets) {
  std::vector<Listed> listed;
  int64_t number = 0;
  for (size_t d = 0; d < datasets.size(); ++d) {
    for (const SubsetOptions& subset : datasets[d].subsets) {
      auto samples = subset.metadata_file.empty()
                         ? read_plain_folder(subset)
                         : read_metadata(subset.metadata_file, subset.image_dir);
      if (samples.empty() && datasets.size() == 1 && datasets[0].subsets.size() == 1) {
        throw_empty(subset, 0);
      }
      if (samples.empty()) {
        log_warning(
            "the subset {} has no pictures and is left out",
            (subset.metadata_file.empty() ? subset.image_dir : subset.metadata_file).string());
      }
      check_train_resolutions(datasets[d], subset, samples);
      for (Sample& sample : samples) {
        listed.push_back({std::move(sample), static_cast<int64_t>(d), number});
      }
      ++number;
    }
  }
  return listed;
}

void report_missing_captions(const std::vector<Item>& items) {
  const auto is_bare = [](const Item& item) { return item.caption.empty(); };
  const auto count = std::count_if(items.begin(), items.end(), is_bare);
  if (count == 0) return;
  const auto first = std::find_if(items.begin(), items.end(), is_bare);
  log_warning(
      "{} of {} pictures have neither caption nor tags and are trained with an empty caption; "
      "the first is {}",
      count, items.size(), first->image.string());
}

// A picture without a mask would be trained whole, which nobody who gives masks wants.
void find_masks(Dataset& dataset) {
  FolderIndex index;
  std::vector<std::string> without;
  fs::path folder;
  for (Item& item : dataset.items) {
    const fs::path& masks = dataset.subsets[item.subset].mask_dir;
    if (masks.empty()) continue;
    item.mask = index.find(masks / item.image.stem());
    if (!item.mask.empty()) continue;
    folder = masks;
    without.push_back(item.image.filename().string());
  }
  if (without.empty()) return;
  const size_t shown = std::min<size_t>(without.size(), 5);
  throw Error(fmt::format("{} pictures have no mask, as {}", without.size(),
                          fmt::join(without.begin(), without.begin() + shown, ", ")),
              folder.string(), "a mask has its picture's name, with any picture extension");
}

Item make_item(const Listed& listed, Size size, const Placement& placement,
               const SubsetOptions& subset) {
  Item item;
  item.image = listed.sample.image;
  item.key = listed.sample.key;
  item.id = hash_number(fmt::format("{}/{}/{}", listed.dataset, listed.subset, listed.sample.key));
  item.caption = compose_caption(listed.sample.caption, listed.sample.tags, subset.caption);
  item.size = size;
  item.placement = placement;
  item.subset = listed.subset;
  item.bucket = listed.dataset;  // until buckets are numbered
  item.repeats = subset.num_repeats;
  item.loss_weight = subset.loss_weight * listed.sample.loss_weight;
  return item;
}

Dataset place_pictures(const std::vector<DatasetOptions>& datasets,
                       const std::vector<Listed>& listed, const std::vector<Header>& headers) {
  std::vector<std::optional<BucketChooser>> choosers;
  Dataset result;
  for (const DatasetOptions& options : datasets) {
    auto& chooser = choosers.emplace_back();
    if (options.has_resolution) chooser.emplace(checked(options.buckets));
    for (SubsetOptions subset : options.subsets) {
      if (subset.face_crop_aug_range && options.buckets.enable) {
        log_warning("face_crop_aug_range has no effect with buckets");
        subset.face_crop_aug_range.reset();
      }
      result.subsets.push_back(std::move(subset));
    }
  }
  for (size_t i = 0; i < listed.size(); ++i) {
    const Sample& sample = listed[i].sample;
    std::string reason = headers[i].reason;
    if (reason.empty()) {
      const Size size = headers[i].size;
      const auto& chooser = choosers[listed[i].dataset];
      const auto placement = chooser ? chooser->place(size) : cover(size, *sample.train_resolution);
      if (placement) {
        result.items.push_back(
            make_item(listed[i], size, *placement, result.subsets[listed[i].subset]));
        continue;
      }
      reason = fmt::format("{} x {} pixels are too thin or too small for any bucket", size.width,
                           size.height);
    }
    log_warning("skipped {}: {}", sample.image.string(), reason);
    result.skipped.push_back({sample.image, reason});
  }
  return result;
}

using BucketMoves = std::map<Size, std::optional<Size>>;

void report_moves(const BucketMoves& moves, const std::map<Size, int64_t>& samples) {
  for (const auto& [from, to] : moves) {
    if (to == from) continue;
    log_info("bucket {} x {} with {} samples: {}", from.width, from.height, samples.at(from),
             to ? fmt::format("merged into {} x {}", to->width, to->height)
                : std::string("dropped, fewer than a batch"));
  }
}

// Follows --small_buckets: pictures of small buckets stay, move or go.
void settle_buckets(Dataset& result, const std::vector<DatasetOptions>& datasets,
                    SmallBuckets choice) {
  for (size_t d = 0; d < datasets.size(); ++d) {
    std::map<Size, int64_t> samples;
    for (const Item& item : result.items) {
      if (item.bucket == static_cast<int64_t>(d)) samples[item.placement.bucket] += item.repeats;
    }
    const BucketMoves moves = settle_small_buckets(samples, datasets[d].batch_size, choice);
    report_moves(moves, samples);
    std::erase_if(result.items, [&](Item& item) {
      if (item.bucket != static_cast<int64_t>(d)) return false;
      const std::optional<Size> to = moves.at(item.placement.bucket);
      const auto placement = to == item.placement.bucket ? item.placement
                             : to                        ? cover(item.size, *to)
                                                         : std::optional<Placement>();
      if (placement) item.placement = *placement;
      if (!placement) result.skipped.push_back({item.image, "its bucket is smaller than a batch"});
      return !placement;
    });
  }
}

// Numbers the buckets in use, sorted, and says how the pictures spread over them.
void number_buckets(Dataset& result, const std::vector<DatasetOptions>& datasets) {
  std::map<std::pair<int64_t, Size>, int64_t> counts;
  for (const Item& item : result.items) ++counts[{item.bucket, item.placement.bucket}];
  std::map<std::pair<int64_t, Size>, int64_t> numbers;
  for (const auto& [key, count] : counts) {
    const auto& [dataset, size] = key;
    numbers[key] = static_cast<int64_t>(result.buckets.size());
    result.buckets.push_back({size, dataset, datasets[dataset].batch_size});
    log_info("bucket {} x {}: {} picture{}", size.width, size.height, count, count == 1 ? "" : "s");
  }
  for (Item& item : result.items) item.bucket = numbers[{item.bucket, item.placement.bucket}];
}

void check_options(const std::vector<DatasetOptions>& datasets) {
  for (const DatasetOptions& dataset : datasets) {
    if (dataset.batch_size < 1) {
      throw UsageError(fmt::format("a batch of {} pictures is not possible", dataset.batch_size),
                       "--train_batch_size", "use 1 or more");
    }
    for (const SubsetOptions& subset : dataset.subsets) {
      if (subset.num_repeats >= 1) continue;
      throw UsageError(
          fmt::format("each picture must be seen at least once, not {} times", subset.num_repeats),
          "--dataset_repeats");
    }
  }
}

Dataset place_all(const std::vector<DatasetOptions>& datasets, const std::vector<Listed>& listed,
                  const ScanOptions& scan) {
  ImageIndex none{fs::path()};
  std::vector<fs::path> pictures;
  pictures.reserve(listed.size());
  for (const Listed& one : listed) pictures.push_back(one.sample.image);
  const std::vector<Header> headers =
      read_headers(pictures, scan.threads, scan.index ? *scan.index : none);
  Dataset result = place_pictures(datasets, listed, headers);
  if (!result.skipped.empty()) {
    log_warning("{} of {} pictures are skipped", result.skipped.size(), listed.size());
  }
  if (result.items.empty()) throw_empty(datasets[0].subsets[0], listed.size());
  settle_buckets(result, datasets, scan.small_buckets);
  if (result.items.empty()) {
    throw Error("every bucket has fewer samples than a batch, so no picture is left",
                "--small_buckets",
                "merge small buckets instead of dropping them, or take a smaller batch");
  }
  number_buckets(result, datasets);
  return result;
}

}  // namespace

int64_t Dataset::samples_per_epoch() const {
  int64_t count = 0;
  for (const Item& item : items) count += item.repeats;
  return count;
}

int64_t Dataset::largest_batch() const {
  int64_t largest = 1;
  for (const Bucket& bucket : buckets) largest = std::max(largest, bucket.batch_size);
  return largest;
}

Dataset make_dataset(const std::vector<DatasetOptions>& datasets, const ScanOptions& scan) {
  check_options(datasets);
  Dataset result = place_all(datasets, list_pictures(datasets), scan);
  find_masks(result);
  report_missing_captions(result.items);
  return result;
}

Dataset make_dataset(std::vector<Sample> samples, const DatasetOptions& options,
                     const ScanOptions& scan) {
  const std::vector<DatasetOptions> datasets = {options};
  check_options(datasets);
  std::vector<Listed> listed;
  listed.reserve(samples.size());
  for (Sample& sample : samples) listed.push_back({std::move(sample), 0, 0});
  return place_all(datasets, listed, scan);
}

}  // namespace sdtune
