// The pictures of a run, looked through once at the start: where each lies, its caption, and the
// shape it is trained at. Pixels are read later (loader.h), in an order that epoch_plan.h gives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset_options.h"
#include "data/image_index.h"
#include "data/metadata.h"
#include "data/small_buckets.h"

namespace sdtune {

struct Item {
  std::filesystem::path image;
  std::string key;  // as the metadata calls it
  // Stands for the picture in every random draw: the same from run to run, whatever other pictures
  // there are and wherever the folder lies.
  uint64_t id = 0;
  std::string caption;  // caption and tags as one (compose_caption)
  Size size;            // of the picture, when the headers were read
  Placement placement;
  int64_t subset = 0;  // index into Dataset::subsets
  int64_t bucket = 0;  // index into Dataset::buckets
  int64_t repeats = 1;
  std::filesystem::path mask;  // the picture's mask in the subset's mask_dir; empty: none
  double loss_weight = 1;      // the subset's times the metadata's
};

// Pictures of one dataset that are trained at one shape, and so may share a batch.
struct Bucket {
  Size size;
  int64_t dataset = 0;  // index into what make_dataset() was given
  int64_t batch_size = 1;
  bool operator==(const Bucket&) const = default;
};

// A picture that cannot be used, and why.
struct SkippedImage {
  std::filesystem::path image;
  std::string reason;
};

struct Dataset {
  std::vector<Item> items;
  std::vector<Bucket> buckets;  // those in use, sorted by dataset, width and height
  std::vector<SubsetOptions> subsets;
  std::vector<SkippedImage> skipped;

  int64_t samples_per_epoch() const;  // items counted with their repeats
  int64_t largest_batch() const;
};

struct ScanOptions {
  int threads = 4;  // that read the pictures' headers
  SmallBuckets small_buckets = SmallBuckets::kShortBatch;
  ImageIndex* index = nullptr;  // what is known from the last time; may be null
};

// Lists the pictures, reads all headers (with a progress line), and places each in its bucket.
// Pictures that cannot be read, or are too thin for any bucket, are named in warnings and skipped.
// Throws Error when nothing is left or metadata is at fault, UsageError for options that do not fit
// together.
Dataset make_dataset(const std::vector<DatasetOptions>& datasets, const ScanOptions& scan);

// The same of pictures listed already: one dataset, whose first subset says all but where they are.
Dataset make_dataset(std::vector<Sample> samples, const DatasetOptions& options,
                     const ScanOptions& scan);

}  // namespace sdtune
