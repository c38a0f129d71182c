#include "generate/prompt_file.h"

#include "base/error.h"
#include "base/files.h"
#include "options/json_tree.h"
#include "options/option_table.h"
#include "options/toml.h"
#include "text/split.h"
#include "text/white_space.h"

namespace sdtune {

namespace {

constexpr uint64_t kLargestFile = 16 << 20;

std::string place_of(const std::string& name, const TomlValue& value) {
  return value.line > 0 ? fmt::format("{}:{}", name, value.line) : name;
}

void take_key(PromptLine& line, const TomlEntry& entry, const std::string& name) {
  const std::string place = place_of(name, entry.value);
  const OptionTable table = describe(line);
  const Option* option = table.find(entry.key);
  if (!option) {
    const std::string near = table.suggestion(entry.key);
    throw UsageError(fmt::format("there is no key '{}' for a prompt", entry.key), place,
                     near.empty() ? "remove it" : "did you mean " + near + "?");
  }
  if (entry.value.kind != TomlValue::Kind::kScalar) {
    throw UsageError(fmt::format("'{}' is a table or an array", entry.key), place,
                     "give " + accepted_text(*option));
  }
  const OptionValue value =
      std::visit([](const auto& v) -> OptionValue { return v; }, entry.value.scalar);
  if (value.index() == 0) return;  // null: as if it were not there
  const OptionValue checked = check_value(*option, value, place);
  if (option->name == "seed") {
    line.seeds = {static_cast<uint64_t>(std::get<int64_t>(checked))};
  } else {
    option->set(checked);
  }
}

PromptLine line_from(const TomlValue& item, const PromptLine& start, const std::string& name) {
  if (const auto* text = std::get_if<std::string>(&item.scalar)) {
    return parse_prompt_line(*text, start.request, place_of(name, item));
  }
  if (!item.is_table()) {
    throw UsageError("a prompt is a text or a set of keys", place_of(name, item),
                     "write \"a cat\" or {\"prompt\": \"a cat\", \"width\": 512}");
  }
  PromptLine line = start;
  for (const TomlEntry& entry : item.entries) {
    if (entry.key != "subset") take_key(line, entry, name);
  }
  return line;
}

const TomlValue* find(const TomlValue& table, const std::string& key) {
  for (const TomlEntry& entry : table.entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

std::vector<PromptLine> from_json(const TomlValue& root, const PromptLine& start,
                                  const std::string& name) {
  if (!root.is_array()) {
    throw UsageError("this is no list of prompts", name, "write [\"a cat\", \"a dog\"]");
  }
  std::vector<PromptLine> prompts;
  for (const TomlValue& item : root.items) prompts.push_back(line_from(item, start, name));
  return prompts;
}

std::vector<PromptLine> from_toml(const TomlValue& root, const PromptLine& start,
                                  const std::string& name) {
  const TomlValue* shared = find(root, "prompt");
  const TomlValue* subsets = shared ? find(*shared, "subset") : nullptr;
  if (!subsets || !subsets->is_array()) {
    throw UsageError("there are no prompts", name,
                     "write [prompt] with keys for all, and [[prompt.subset]] for each");
  }
  const PromptLine common = line_from(*shared, start, name);
  std::vector<PromptLine> prompts;
  for (const TomlValue& item : subsets->items) prompts.push_back(line_from(item, common, name));
  return prompts;
}

}  // namespace

std::vector<NumberedLine> read_prompt_lines(const fs::path& path) {
  const std::string content = read_file(path, kLargestFile);
  if (!is_plain_text(content)) throw Error("the file is no UTF-8 text", path.string());
  std::string_view text = content;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::vector<NumberedLine> lines;
  size_t number = 0;
  for (const std::string_view line : split(text, "\n")) {
    ++number;
    const std::string_view stripped = strip(line);
    if (stripped.empty() || stripped.starts_with('#')) continue;
    lines.push_back({std::string(stripped), fmt::format("{}:{}", path.string(), number)});
  }
  return lines;
}

std::vector<PromptLine> read_prompt_file(const fs::path& path, const PictureRequest& defaults) {
  const std::string name = path.string();
  PromptLine start;
  start.request = defaults;
  std::vector<PromptLine> prompts;
  if (path.extension() == ".json") {
    prompts = from_json(parse_json_tree(read_file(path, kTomlLimit), name), start, name);
  } else if (path.extension() == ".toml") {
    prompts = from_toml(parse_toml(read_file(path, kTomlLimit), name), start, name);
  } else {
    for (const NumberedLine& line : read_prompt_lines(path)) {
      prompts.push_back(parse_prompt_line(line.text, defaults, line.place));
    }
  }
  if (prompts.empty()) {
    throw UsageError("there are no prompts", name, "write one prompt in each line");
  }
  return prompts;
}

}  // namespace sdtune
