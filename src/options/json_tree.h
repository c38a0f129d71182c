// JSON text as the tree that options/toml.h gives for TOML, so that one reader serves configuration
// files of both kinds. Not for metadata, which is large and read field by field (metadata.h).
#pragma once

#include <string>

#include "options/toml.h"

namespace sdtune {

// The root value of a JSON text; null is a scalar that is not set, lines are 0 throughout.
// UsageError with `name` (and the line where the text breaks) when the text is no JSON, longer than
// kTomlLimit, nested deeper than 32, names a key twice in one object, or holds a whole number that
// 64 bits cannot.
TomlValue parse_json_tree(const std::string& text, const std::string& name);

}  // namespace sdtune
