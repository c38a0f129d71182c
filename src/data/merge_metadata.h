// Puts the text files that lie beside pictures into a metadata file, as captions or as tags:
// sd-scripts' merge_captions_to_metadata and merge_dd_tags_to_metadata. Texts are taken as they
// are; cleaning them is clean_metadata.h's.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "formats/metadata_file.h"

namespace sdtune {

struct MergeOptions {
  std::filesystem::path train_data_dir;
  std::string caption_extension;  // with or without its dot
  std::string field = "caption";  // or "tags"
  bool full_path = false;         // keys are paths, not stems
  bool recursive = false;
};

// File names in the pictures' order; each list is for one warning.
struct MergeReport {
  size_t pictures = 0;
  size_t merged = 0;                            // entries that got a text
  std::vector<std::filesystem::path> missing;   // pictures without a text file
  std::vector<std::string> unreadable;          // text files and why, pictures with unusable names
  std::vector<std::filesystem::path> repeated;  // pictures whose key an earlier one has
};

using MergedEntry = std::function<void(const std::string& key, const std::string& text)>;

// Sets `options.field` in the entry of each picture that has a text file, adding entries where
// there are none. Other fields and entries stay. A picture whose text file is missing, longer than
// a megabyte or not UTF-8 changes nothing and is reported. Throws Error when the folder cannot be
// read or holds no pictures. `on_entry`, where given, sees each text as it is set.
MergeReport merge_texts(const MergeOptions& options, MetadataFile& metadata,
                        const MergedEntry& on_entry = {});

// The key of a picture, given relative to the folder: the folder's path as given and the name with
// --full_path; else the relative path without its extension, which without sub-folders is the stem.
std::string metadata_key(const MergeOptions& options, const std::filesystem::path& picture);

// The file to start from: `in_json`, else `out_json` where it exists, else nothing yet.
MetadataFile starting_metadata(const std::optional<std::filesystem::path>& in_json,
                               const std::filesystem::path& out_json);

}  // namespace sdtune
