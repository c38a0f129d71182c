#include "options/config_file.h"

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "options/toml.h"

namespace sdtune {
namespace {

class FileReader {
 public:
  FileReader(const OptionTable& table, const std::string& name) : table_(table), name_(name) {}

  void read(const TomlValue& root) {
    for (const auto& [key, value] : root.entries) {
      if (!value.is_table()) {
        take(key, value);
        continue;
      }
      for (const auto& [inner_key, inner] : value.entries) take(inner_key, inner);
    }
  }

  const std::map<const Option*, OptionValue>& values() const { return values_; }

 private:
  std::string place(const TomlValue& value) const {
    return fmt::format("{}:{}", name_, value.line);
  }

  void take(const std::string& key, const TomlValue& value) {
    const Option* option = table_.find(key);
    if (!option) {
      const std::string near = table_.suggestion(key);
      throw UsageError(fmt::format("there is no option '{}'", key), place(value),
                       near.empty() ? "remove the line; --help lists the options"
                                    : "did you mean " + near + "?");
    }
    if (!values_.emplace(option, typed(*option, value)).second) {
      throw UsageError(fmt::format("{} is given twice", option->name), place(value),
                       "keep one of the two lines");
    }
  }

  OptionValue typed(const Option& option, const TomlValue& value) const {
    return check_value(option, value.is_array() ? words(option, value) : scalar(option, value),
                       place(value));
  }

  OptionValue words(const Option& option, const TomlValue& value) const {
    if (option.kind != OptionKind::kList) refuse(option, value, "an array");
    std::vector<std::string> list;
    for (const TomlValue& item : value.items) {
      const auto* word = std::get_if<std::string>(&item.scalar);
      if (!word) refuse(option, item, "an array of something else than strings");
      list.push_back(*word);
    }
    return list;
  }

  OptionValue scalar(const Option& option, const TomlValue& value) const {
    const OptionKind kind = option.kind;
    if (value.is_table()) refuse(option, value, "a table");
    if (kind == OptionKind::kList) refuse(option, value, "a single value");
    if (const auto* text = std::get_if<std::string>(&value.scalar)) {
      if (kind == OptionKind::kFlag || kind == OptionKind::kInteger ||
          kind == OptionKind::kNumber) {
        refuse(option, value, "a string");
      }
      return *text;
    }
    if (kind == OptionKind::kText) refuse(option, value, "not a string");
    if (const bool* flag = std::get_if<bool>(&value.scalar)) return *flag;
    if (const int64_t* whole = std::get_if<int64_t>(&value.scalar)) return *whole;
    return std::get<double>(value.scalar);
  }

  [[noreturn]] void refuse(const Option& option, const TomlValue& value,
                           const std::string& what) const {
    std::string form = "without quotes or brackets";
    if (option.kind == OptionKind::kList) form = "as an array of strings, [\"a\", \"b\"]";
    if (option.kind == OptionKind::kText) form = "in quotes";
    throw UsageError(fmt::format("{} is {}", option.name, what), place(value),
                     fmt::format("give {}, {}", accepted_text(option), form));
  }

  const OptionTable& table_;
  const std::string& name_;
  std::map<const Option*, OptionValue> values_;
};

}  // namespace

void apply_toml(OptionTable& table, const std::string& text, const std::string& name) {
  FileReader reader(table, name);
  reader.read(parse_toml(text, name));
  for (const auto& [option, value] : reader.values()) {
    if (!table.was_set(option->name)) table.assign(*option, value, OptionSource::kFile);
  }
}

void apply_config_file(OptionTable& table, const std::filesystem::path& path) {
  apply_toml(table, read_file(path, kTomlLimit), path.string());
}

std::filesystem::path with_toml_extension(std::filesystem::path path) {
  if (!path.string().ends_with(".toml")) path += ".toml";
  return path;
}

std::string to_toml(const OptionTable& table, bool all) {
  std::string text, group;
  for (const Option& option : table.options()) {
    const OptionValue value = option.get();
    if (!option.recorded || value.index() == 0 || (!all && value == option.default_value)) continue;
    const std::string line = toml_text(value);
    if (!is_plain_text(line)) {
      throw Error("the value is not UTF-8 text, which TOML needs", "--" + option.name,
                  "rename the file or folder");
    }
    if (option.group != group) {
      group = option.group;
      text += fmt::format("{}# {}\n", text.empty() ? "" : "\n", group);
    }
    text += fmt::format("{} = {}\n", option.name, line);
  }
  return text;
}

void write_config_file(const OptionTable& table, const std::filesystem::path& path) {
  if (std::filesystem::exists(path)) {
    throw Error("the file exists and is not overwritten", path.string(),
                "give another --config_file or remove it");
  }
  write_file(path, to_toml(table, false));
}

}  // namespace sdtune
