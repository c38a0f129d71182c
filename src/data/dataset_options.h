// What a run is told about its pictures: one or more datasets, each with its resolution and batch
// size, each of one or more subsets, each with its folder, captions and augmentations. The names
// are those of sd-scripts' dataset configuration. Nothing here is read from disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/buckets.h"
#include "image/resize.h"
#include "text/caption.h"

namespace sdtune {

// A detected face's share of the target's shorter side after the crop, from `low` to `high`.
struct FaceCropRange {
  double low = 1;
  double high = 1;
};

struct SubsetOptions {
  std::filesystem::path image_dir;
  std::filesystem::path metadata_file;  // empty: image_dir is a plain folder
  // For plain folders: the text file beside a picture, and the caption of those that have none.
  std::string caption_extension = ".caption";
  std::string class_tokens;
  int64_t num_repeats = 1;  // times that each picture is seen in an epoch
  CaptionOptions caption;
  bool flip_aug = false;
  bool color_aug = false;
  bool random_crop = false;
  std::optional<FaceCropRange> face_crop_aug_range;
  bool alpha_mask = false;
  std::filesystem::path mask_dir;  // pictures of the same names, whose red is a mask; empty: none
  double loss_weight = 1;          // what each picture's loss counts
  Interpolation resize_interpolation = Interpolation::kDefault;
};

// Whether a picture's pixels differ from one appearance to the next by more than a flip.
inline bool changes_pixels(const SubsetOptions& subset) {
  return subset.random_crop || subset.color_aug || subset.face_crop_aug_range;
}

struct DatasetOptions {
  bool has_resolution = true;  // false: the metadata's train_resolution decides
  BucketOptions buckets;
  int64_t batch_size = 1;
  std::vector<SubsetOptions> subsets;
};

}  // namespace sdtune
