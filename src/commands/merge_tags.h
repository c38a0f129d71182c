// `sdtune merge-tags` (sd-scripts' merge_dd_tags_to_metadata.py): the tag files beside the pictures
// into the `tags` fields of a metadata file. As merge-captions but for the field and the extension.
#pragma once

#include <span>
#include <string>

#include "commands/merge_captions.h"

namespace sdtune {

struct MergeTagsOptions : MergeCaptionsOptions {
  MergeTagsOptions() { caption_extension = ".txt"; }
};

int run_merge_tags(std::span<const std::string> args);

}  // namespace sdtune
