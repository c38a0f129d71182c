// `sdtune clean` (sd-scripts' clean_captions_and_tags.py): the captions and tags of a metadata file
// through the cleaning rules. The rules are text/caption_cleaning.h's.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "formats/metadata_file.h"
#include "options/option.h"

namespace sdtune {

struct CleanOptions {
  std::filesystem::path in_json;
  std::filesystem::path out_json;
  std::optional<std::filesystem::path> third_json;
  bool debug = false;

  template <class V>
  void visit(V& v) {
    v("in_json", in_json, "Metadata file to read, JSON or JSONL by its name.", Positional{},
      Required{});
    v("out_json", out_json, "Metadata file to write; it may be the same.", Positional{},
      Required{});
    v("third_json", third_json,
      "For old command lines of three words: picture folder (left out), in_json, out_json.",
      Positional{});
    v("debug", debug, "Print each text before and after.");
  }
};

int run_clean(std::span<const std::string> args);

// Cleans metadata that is open, and tells the user of it; `debug` prints each text.
void clean_texts(MetadataFile& metadata, bool debug);

}  // namespace sdtune
