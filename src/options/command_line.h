// A command line read into an OptionTable: --name value, --name=value, hyphens and underscores
// alike, positional words, "--", and the file that --config_file names. Written for sd-scripts'
// command lines; docs/decisions/0002-command-line.md says why it stands on no library.
#pragma once

#include <span>
#include <string>

#include "options/option_table.h"

namespace sdtune {

// Sets the options named in `args` (without program and command). With options config_file and
// output_config in the table (ConfigFileOptions), the file's values stand below the command line's.
// False: --output_config wrote the file and there is nothing to run. UsageError for unknown options
// (with a suggestion), wrong or missing values, words that belong to no option; Error for files.
[[nodiscard]] bool parse_command_line(OptionTable& table, std::span<const std::string> args);

// True when -h or --help stands among the words before "--".
bool asks_for_help(std::span<const std::string> args);

}  // namespace sdtune
