#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "data/doctor_pictures.h"

namespace sdtune {
namespace {

constexpr Size kAssumedResolution{512, 512};
constexpr double kTinyScale = 2;
constexpr double kHeavyLoss = 0.25;

std::string text_of(Size size) { return fmt::format("{} x {}", size.width, size.height); }

// Whether make_dataset() would ask for a resolution.
bool lacks_resolution(const DatasetOptions& options, int64_t dataset,
                      const std::vector<CheckedPicture>& pictures) {
  if (options.has_resolution) return false;
  return options.buckets.no_upscale ||
         std::any_of(pictures.begin(), pictures.end(), [dataset](const CheckedPicture& picture) {
           return picture.dataset == dataset && !picture.sample.train_resolution;
         });
}

std::vector<std::optional<BucketChooser>> choosers_of(const std::vector<DatasetOptions>& datasets,
                                                      Diagnosis& diagnosis) {
  std::vector<std::optional<BucketChooser>> choosers;
  for (size_t d = 0; d < datasets.size(); ++d) {
    DatasetOptions options = datasets[d];
    if (lacks_resolution(options, static_cast<int64_t>(d), diagnosis.pictures)) {
      diagnosis.findings.push_back({FindingKind::kNoResolution,
                                    fmt::format("dataset {}", d + 1),
                                    "no resolution, and no train_resolution for every picture",
                                    {}});
      options.has_resolution = true;
      options.buckets.resolution = kAssumedResolution;
    }
    auto& chooser = choosers.emplace_back();
    if (options.has_resolution) chooser.emplace(checked(options.buckets));
  }
  return choosers;
}

void place_each(const std::vector<std::optional<BucketChooser>>& choosers, Diagnosis& diagnosis) {
  for (size_t i = 0; i < diagnosis.pictures.size(); ++i) {
    CheckedPicture& picture = diagnosis.pictures[i];
    if (!picture.is_readable) continue;
    const auto& chooser = choosers[picture.dataset];
    const Size size = picture.facts.size;
    picture.placement =
        chooser ? chooser->place(size) : cover(size, *picture.sample.train_resolution);
    if (picture.placement) continue;
    diagnosis.findings.push_back(
        {FindingKind::kUnplaceablePicture, picture.name, text_of(size), {i}});
  }
}

// Follows --small_buckets in one dataset.
void settle(const DatasetOptions& options, int64_t dataset, SmallBuckets choice,
            Diagnosis& diagnosis) {
  const auto is_placed = [dataset](const CheckedPicture& picture) {
    return picture.dataset == dataset && picture.placement;
  };
  std::map<Size, int64_t> samples;
  for (const CheckedPicture& picture : diagnosis.pictures) {
    if (!is_placed(picture)) continue;
    samples[picture.placement->bucket] += diagnosis.dataset.subsets[picture.subset].num_repeats;
  }
  const auto moves = settle_small_buckets(samples, options.batch_size, choice);
  for (size_t i = 0; i < diagnosis.pictures.size(); ++i) {
    CheckedPicture& picture = diagnosis.pictures[i];
    if (!is_placed(picture)) continue;
    const Size from = picture.placement->bucket;
    const std::optional<Size> to = moves.at(from);
    if (to == from) continue;
    picture.placement = to ? cover(picture.facts.size, *to) : std::nullopt;
    if (picture.placement) continue;
    diagnosis.findings.push_back(
        {FindingKind::kDropped, picture.name, "bucket " + text_of(from), {i}});
  }
}

Item make_item(const CheckedPicture& picture, const SubsetOptions& subset) {
  Item item;
  item.image = picture.sample.image;
  item.key = picture.sample.key;
  item.caption = compose_caption(picture.sample.caption, picture.sample.tags, subset.caption);
  item.size = picture.facts.size;
  item.placement = *picture.placement;
  item.subset = picture.subset;
  item.repeats = subset.num_repeats;
  return item;
}

// Items and numbered buckets of Diagnosis::dataset, and what the table of buckets shows.
void fill_dataset(const std::vector<DatasetOptions>& datasets, Diagnosis& diagnosis) {
  std::map<std::pair<int64_t, Size>, CheckedBucket> table;
  for (const CheckedPicture& picture : diagnosis.pictures) {
    if (!picture.placement) continue;
    const auto& [bucket, resized] = *picture.placement;
    CheckedBucket& row = table[{picture.dataset, bucket}];
    const double loss = crop_loss(*picture.placement);
    ++row.pictures;
    row.samples += diagnosis.dataset.subsets[picture.subset].num_repeats;
    row.mean_loss += loss;
    row.worst_loss = std::max(row.worst_loss, loss);
  }
  std::map<std::pair<int64_t, Size>, int64_t> numbers;
  for (auto& [key, row] : table) {
    const auto& [dataset, size] = key;
    const int64_t batch_size = datasets[dataset].batch_size;
    row.bucket = {size, dataset, batch_size};
    row.batches = (row.samples + batch_size - 1) / batch_size;
    row.mean_loss /= static_cast<double>(row.pictures);
    numbers[key] = static_cast<int64_t>(diagnosis.buckets.size());
    diagnosis.buckets.push_back(row);
    diagnosis.dataset.buckets.push_back(row.bucket);
  }
  for (const CheckedPicture& picture : diagnosis.pictures) {
    if (!picture.placement) continue;
    Item item = make_item(picture, diagnosis.dataset.subsets[picture.subset]);
    item.bucket = numbers.at({picture.dataset, picture.placement->bucket});
    diagnosis.dataset.items.push_back(std::move(item));
  }
}

void note_sizes(Diagnosis& diagnosis) {
  for (size_t i = 0; i < diagnosis.pictures.size(); ++i) {
    const CheckedPicture& picture = diagnosis.pictures[i];
    if (!picture.placement) continue;
    const auto& [bucket, resized] = *picture.placement;
    const Size size = picture.facts.size;
    const double scale = static_cast<double>(resized.width) / size.width;
    if (scale > 1) {
      diagnosis.findings.push_back(
          {scale >= kTinyScale ? FindingKind::kTinyPicture : FindingKind::kEnlarged,
           picture.name,
           fmt::format("{}, enlarged {:.2f} times for {}", text_of(size), scale, text_of(bucket)),
           {i}});
    }
    const double loss = crop_loss(*picture.placement);
    if (loss > kHeavyLoss && !diagnosis.dataset.subsets[picture.subset].face_crop_aug_range) {
      diagnosis.findings.push_back(
          {FindingKind::kHeavyCrop,
           picture.name,
           fmt::format("{} loses {:.0f} % to {}", text_of(size), 100 * loss, text_of(bucket)),
           {i}});
    }
  }
}

void note_short_batches(Diagnosis& diagnosis) {
  for (const CheckedBucket& row : diagnosis.buckets) {
    if (row.samples >= row.bucket.batch_size) continue;
    diagnosis.findings.push_back({FindingKind::kShortBatch,
                                  text_of(row.bucket.size),
                                  fmt::format("{} sample{} for batches of {}", row.samples,
                                              row.samples == 1 ? "" : "s", row.bucket.batch_size),
                                  {}});
  }
}

}  // namespace

void place_pictures(const std::vector<DatasetOptions>& datasets, const DoctorOptions& options,
                    Diagnosis& diagnosis) {
  place_each(choosers_of(datasets, diagnosis), diagnosis);
  for (size_t d = 0; d < datasets.size(); ++d) {
    settle(datasets[d], static_cast<int64_t>(d), options.small_buckets, diagnosis);
  }
  fill_dataset(datasets, diagnosis);
  note_sizes(diagnosis);
  note_short_batches(diagnosis);
}

}  // namespace sdtune
