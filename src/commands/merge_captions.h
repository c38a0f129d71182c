// `sdtune merge-captions` (sd-scripts' merge_captions_to_metadata.py): the caption files beside the
// pictures into the `caption` fields of a metadata file. The work is data/merge_metadata.h's.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "formats/metadata_file.h"
#include "options/option.h"

namespace sdtune {

struct MergeCaptionsOptions {
  std::filesystem::path train_data_dir;
  std::filesystem::path out_json;
  std::optional<std::filesystem::path> in_json;
  std::string caption_extension = ".caption";
  bool full_path = false;
  bool recursive = false;
  bool debug = false;

  template <class V>
  void visit(V& v) {
    v("train_data_dir", train_data_dir, "Folder of the pictures and their text files.",
      Positional{}, Required{});
    v("out_json", out_json, "Metadata file to write; lines of JSON where its name ends in .jsonl.",
      Positional{}, Required{});
    v("in_json", in_json,
      "Metadata file to start from. Without it an out_json that is there already is kept and "
      "added to.");
    v("caption_extension", caption_extension, "How the names of the text files end.",
      Aliases{"caption_extention"});
    v("full_path", full_path,
      "Use the pictures' paths as keys, as given and with extensions, instead of their names "
      "without extensions.");
    v("recursive", recursive,
      "Look into sub-folders too. Without --full_path the keys are then relative paths without "
      "extensions.");
    v("debug", debug, "Print each picture's text as it is merged.");
  }
};

int run_merge_captions(std::span<const std::string> args);

// The same from options already filled in, for any field. Returns the exit code.
int merge_into_metadata(const MergeCaptionsOptions& options, const char* field);

// Merges into metadata that is open, and tells the user of it.
void merge_field(const MergeCaptionsOptions& options, const char* field, MetadataFile& metadata);

}  // namespace sdtune
