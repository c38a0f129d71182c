// Applies cleaning rules to the captions and tags of a metadata file. The rules themselves are
// text/caption_cleaning.h's.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/metadata_file.h"

namespace sdtune {

using TextRule = std::function<std::string(std::string_view)>;

struct CleaningRules {
  TextRule caption;
  TextRule tags;
  // Sees every text that is cleaned, changed or not; may be empty.
  std::function<void(const MetadataEntry& entry, std::string_view field, std::string_view before,
                     std::string_view after)>
      on_text;
};

struct CleanReport {
  size_t captions_changed = 0;
  size_t tags_changed = 0;
  std::vector<std::string> without_caption;  // keys, in the file's order
  std::vector<std::string> without_tags;
};

// Entries that lack a field, or hold null there, keep the rest as it is. Throws Error naming file
// and key when a caption or tags are no string.
CleanReport clean_metadata(MetadataFile& metadata, const CleaningRules& rules);

}  // namespace sdtune
