// The file behind --dataset_config: datasets and their subsets, in TOML or JSON, with the keys of
// sd-scripts. Reads the file into options and checks each value by itself; whether buckets fit
// together and whether pictures are there is found out later (buckets.h, dataset.h).
//
//   [general]                        # for all that follows
//   shuffle_caption = true           # keys of subsets may stand at any level
//   enable_bucket = true
//
//   [[datasets]]
//   resolution = [768, 512]          # or one number for a square
//   batch_size = 4
//
//     [[datasets.subsets]]
//     image_dir = "pictures"         # folder, with the metadata that names its pictures
//     metadata_file = "meta.json"
//     num_repeats = 2
//     face_crop_aug_range = [1, 3]
//
//     [[datasets.subsets]]           # without metadata: captions lie beside the pictures
//     image_dir = "more"
//     caption_extension = ".txt"
//     class_tokens = "a photograph"
//     shuffle_caption = false
//
// The subset's value counts before the dataset's, that before [general]'s, that before the command
// line's.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset_options.h"

namespace sdtune {

// All datasets of the file, in its order, each with at least one subset. `fallback` holds the
// command line's values and one subset with those of every subset; that subset's image_dir and
// metadata_file do not count. A relative image_dir or metadata_file is seen from the working
// directory; one that is not there, but is beside the file, is taken from there.
//
// Left out with a warning: subsets with num_repeats below 1, the later of two subsets of one
// dataset with the same metadata_file (or the same image_dir, both without metadata), datasets that
// have no other subsets. UsageError with the line, the key and what is accepted for unknown keys,
// keys at a wrong level, wrong types and values out of range; when no dataset is left; when the
// name ends neither in .toml nor in .json. Error when the file cannot be read.
std::vector<DatasetOptions> read_dataset_config(const std::filesystem::path& file,
                                                const DatasetOptions& fallback);

// The same for a text that was read from `file`, of which only the name is used.
std::vector<DatasetOptions> parse_dataset_config(const std::string& text,
                                                 const std::filesystem::path& file,
                                                 const DatasetOptions& fallback);

// "lanczos", "nearest", "bilinear" or "linear", "bicubic" or "cubic", "area", "box"; letters' case
// does not matter. UsageError naming `where` for anything else.
Interpolation parse_interpolation(const std::string& name, const std::string& where);

}  // namespace sdtune
