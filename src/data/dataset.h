// The pictures of a run, looked through once at the start: where each lies, its caption, and the
// shape it is trained at. Pixels are read later (loader.h), in an order that epoch_plan.h gives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/buckets.h"
#include "data/metadata.h"

namespace sdtune {

struct DatasetOptions {
  std::filesystem::path image_dir;
  std::filesystem::path metadata_file;  // empty: image_dir is a plain folder
  bool has_resolution = true;           // false: the metadata's train_resolution decides
  BucketOptions buckets;
  int repeats = 1;  // times that each picture is seen in an epoch
  std::string caption_separator = ",";
  int threads = 4;  // that read the pictures' headers
};

struct Item {
  std::filesystem::path image;
  std::string caption;  // caption and tags as one
  Size size;            // of the picture, when the headers were read
  Placement placement;
  int64_t bucket = 0;  // index into Dataset::buckets
  int repeats = 1;
};

// A picture that cannot be used, and why.
struct SkippedImage {
  std::filesystem::path image;
  std::string reason;
};

struct Dataset {
  std::vector<Item> items;
  std::vector<Size> buckets;  // those in use, sorted
  std::vector<SkippedImage> skipped;

  int64_t samples_per_epoch() const;  // items counted with their repeats
};

// Lists the pictures, reads all headers (with a progress line), and places each in its bucket.
// Pictures that cannot be read, or are too thin for any bucket, are named in warnings and skipped.
// Throws Error when nothing is left or metadata is at fault, UsageError for options that do not fit
// together.
Dataset make_dataset(const DatasetOptions& options);

}  // namespace sdtune
