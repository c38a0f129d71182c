// The documentation of a command's options, from the table that also reads them: --help, Markdown
// for docs/options.md, and a JSON schema for the dashboard's form.
#pragma once

#include <string>

#include "options/option_table.h"

namespace sdtune {

struct CommandText {
  std::string name;     // "train"
  std::string summary;  // one sentence
};

// `width`: columns of the terminal; lines are wrapped to it (at least 40).
std::string help_text(const CommandText& command, const OptionTable& table, int width);

// A section headed "## sdtune <name>", with one table for each group.
std::string markdown_text(const CommandText& command, const OptionTable& table);

// JSON Schema (draft 2020-12) of an object with the options as properties, in their order;
// "x-group" names an option's group. Two spaces of indent, ends with a newline.
std::string json_schema_text(const CommandText& command, const OptionTable& table);

// `text` broken at spaces into lines of at most `width` columns (longer words stay whole), the
// second and later ones indented by `indent`. Columns are counted in code points.
std::string wrap_text(const std::string& text, int width, int indent);

}  // namespace sdtune
