// Options in TOML files: reading them under the command line, and writing them so that they read
// back the same. The names and rules are those of sd-scripts' --config_file and --output_config.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "options/option_table.h"

namespace sdtune {

// The two options of every command that takes a file; parse_command_line() acts on them.
struct ConfigFileOptions {
  std::optional<std::filesystem::path> config_file;
  bool output_config = false;

  template <class V>
  void visit(V& v) {
    v("config_file", config_file,
      "TOML file of options, keys as the options' names; what the command line says counts more. "
      "\".toml\" is added when missing.",
      Unrecorded{});
    v("output_config", output_config,
      "Write every option that differs from its default to --config_file, and end.", Unrecorded{});
  }
};

// Sets the options that `text` names, at the top or inside one level of tables, except those
// already set. UsageError with "name:line" for unknown keys (with a suggestion), a key given twice,
// and values of the wrong type; nothing is set then.
void apply_toml(OptionTable& table, const std::string& text, const std::string& name);

// apply_toml() of a file; Error when it cannot be read.
void apply_config_file(OptionTable& table, const std::filesystem::path& path);

// "run" -> "run.toml"; "run.toml" stays.
std::filesystem::path with_toml_extension(std::filesystem::path path);

// The recorded options as TOML, all of them or those that differ from their defaults; not those
// that are not set. apply_toml() reads back exactly the same values. Error when a text is not
// UTF-8.
std::string to_toml(const OptionTable& table, bool all);

// Writes to_toml(table, false). Error when the file exists.
void write_config_file(const OptionTable& table, const std::filesystem::path& path);

}  // namespace sdtune
