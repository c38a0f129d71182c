// Text of metadata files to entries and back, for metadata_file.cc alone. Values stay text: a tree
// of a hundred thousand entries would take several times the memory, and would round long numbers.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/metadata_file.h"

namespace sdtune {

using EntrySink = std::function<void(std::string key, std::vector<MetadataField> fields)>;

// Reads {"key": {fields}, …}. Throws Error naming `where`.
void parse_metadata_object(std::string_view text, const std::string& where, const EntrySink& sink);

// Reads one {fields} with an "image_path", which becomes the key. Throws Error naming `where`,
// which says the line.
void parse_metadata_line(std::string_view line, const std::string& where, const EntrySink& sink);

// The text as a JSON string, all but ASCII escaped.
std::string json_string(std::string_view text);

// Adds a value from MetadataField::json as Python's indent=2 lays it out `level` levels deep.
void append_indented(std::string& out, std::string_view json, int level);

}  // namespace sdtune
