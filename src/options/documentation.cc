#include "options/documentation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "options/toml.h"

namespace sdtune {
namespace {

constexpr int kHelpColumn = 34;

int columns(const std::string& text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string placeholder(OptionKind kind) {
  switch (kind) {
    case OptionKind::kFlag:
      return "";
    case OptionKind::kInteger:
      return "N";
    case OptionKind::kNumber:
      return "NUMBER";
    case OptionKind::kText:
      return "TEXT";
    case OptionKind::kList:
      return "WORD…";
    case OptionKind::kSize:
      return "N|W,H";
    case OptionKind::kStepsOrRatio:
      return "STEPS|SHARE";
  }
  return "";
}

// Text as it stands, unless its end or emptiness would be hard to see.
std::string default_text(const Option& option) {
  const std::string text = display_text(option.default_value);
  const auto* string = std::get_if<std::string>(&option.default_value);
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-' || c == '/' || c == '.' || c >= 0x80;
  });
  return string && !(plain && !text.empty()) ? toml_text(option.default_value) : text;
}

bool has_visible_default(const Option& option) {
  if (const bool* flag = std::get_if<bool>(&option.default_value)) return *flag;
  return !display_text(option.default_value).empty();
}

bool shows_accepted(const Option& option) {
  return !option.choices.empty() || option.range || option.kind == OptionKind::kStepsOrRatio;
}

std::string full_help(const Option& option) {
  std::string notes;
  const auto add = [&notes](const std::string& note) {
    notes += (notes.empty() ? "" : "; ") + note;
  };
  if (option.required) add("required");
  if (shows_accepted(option)) add(accepted_text(option));
  if (!option.required && has_visible_default(option)) add("default " + default_text(option));
  for (const std::string& alias : option.aliases) add("also --" + alias);
  return option.help + (notes.empty() ? "" : " [" + notes + "]");
}

void add_entry(std::string& out, const std::string& head, const std::string& help, int width) {
  out += "  " + head;
  const int used = 2 + columns(head);
  if (used + 2 > kHelpColumn) {
    out += '\n' + std::string(kHelpColumn, ' ');
  } else {
    out += std::string(kHelpColumn - used, ' ');
  }
  out += wrap_text(help, std::max(width - kHelpColumn, 20), kHelpColumn) + '\n';
}

std::string usage_line(const CommandText& command, const OptionTable& table) {
  std::string line = "usage: sdtune " + command.name;
  for (const Option& option : table.options()) {
    if (!option.positional) continue;
    const std::string word = option.name + (option.kind == OptionKind::kList ? " …" : "");
    line += option.required ? " " + word : " [" + word + "]";
  }
  return line + " [options]";
}

std::string cell(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '|') result += '\\';
    result += c == '\n' ? ' ' : c;
  }
  return result;
}

nlohmann::ordered_json json_value(const OptionValue& value) {
  return std::visit(
      [](const auto& content) -> nlohmann::ordered_json {
        if constexpr (std::is_same_v<std::decay_t<decltype(content)>, std::monostate>) {
          return nullptr;
        } else {
          return content;
        }
      },
      value);
}

void add_type(nlohmann::ordered_json& schema, const Option& option) {
  switch (option.kind) {
    case OptionKind::kFlag:
      schema["type"] = "boolean";
      break;
    case OptionKind::kInteger:
      schema["type"] = "integer";
      break;
    case OptionKind::kNumber:
      schema["type"] = "number";
      break;
    case OptionKind::kText:
      schema["type"] = "string";
      break;
    case OptionKind::kList:
      schema["type"] = "array";
      schema["items"] = {{"type", "string"}};
      break;
    case OptionKind::kSize:
      schema["type"] = {"integer", "string"};
      schema["pattern"] = "^ *[0-9]+ *(, *[0-9]+ *)?$";
      break;
    case OptionKind::kStepsOrRatio:
      schema["type"] = {"number", "string"};
      schema["minimum"] = 0;
      schema["pattern"] = "^[0-9.]+%?$";
      break;
  }
  for (const std::string& choice : option.choices) {
    if (option.kind == OptionKind::kInteger) {
      schema["enum"].push_back(std::stoll(choice));
    } else {
      schema["enum"].push_back(choice);
    }
  }
  const auto add_bound = [&](const char* key, double bound) {
    if (!std::isfinite(bound)) return;
    if (option.kind == OptionKind::kInteger) {
      schema[key] = static_cast<int64_t>(bound);
    } else {
      schema[key] = bound;
    }
  };
  if (option.range && option.kind != OptionKind::kSize) {
    add_bound("minimum", option.range->low);
    add_bound("maximum", option.range->high);
  }
}

}  // namespace

std::string wrap_text(const std::string& text, int width, int indent) {
  std::istringstream words(text);
  std::string result, word;
  int used = 0;
  while (words >> word) {
    if (used > 0 && used + 1 + columns(word) > width) {
      result += '\n' + std::string(static_cast<size_t>(indent), ' ');
      used = 0;
    } else if (used > 0) {
      result += ' ';
      ++used;
    }
    result += word;
    used += columns(word);
  }
  return result;
}

std::string help_text(const CommandText& command, const OptionTable& table, int width) {
  width = std::max(width, 40);
  std::string out = wrap_text(usage_line(command, table), width, 7) + "\n\n" +
                    wrap_text(command.summary, width, 0) + "\n";
  std::string group;
  bool first = true;
  for (const Option& option : table.options()) {
    if (first || option.group != group) {
      group = option.group;
      out += '\n' + (group.empty() ? "Options" : group) + '\n';
      first = false;
    }
    const std::string value = placeholder(option.kind);
    std::string head = option.positional ? option.name : "--" + option.name;
    if (!option.positional && !value.empty()) head += " " + value;
    add_entry(out, head, full_help(option), width);
  }
  out += "\nHelp\n";
  add_entry(out, "-h, --help", "Show this text and end.", width);
  return out;
}

std::string markdown_text(const CommandText& command, const OptionTable& table) {
  std::string out = fmt::format("## sdtune {}\n\n{}\n", command.name, command.summary);
  std::string group;
  bool first = true;
  for (const Option& option : table.options()) {
    if (first || option.group != group) {
      group = option.group;
      if (!group.empty()) out += fmt::format("\n### {}\n", group);
      out += "\n| option | value | default | effect |\n| --- | --- | --- | --- |\n";
      first = false;
    }
    std::string names = fmt::format("`{}{}`", option.positional ? "" : "--", option.name);
    for (const std::string& alias : option.aliases) names += fmt::format(", `--{}`", alias);
    const std::string value = option.kind == OptionKind::kFlag ? "switch" : accepted_text(option);
    std::string standard =
        has_visible_default(option) ? fmt::format("`{}`", default_text(option)) : "";
    if (option.required) standard = "required";
    out += fmt::format("| {} | {} | {} | {} |\n", names, cell(value), cell(standard),
                       cell(option.help));
  }
  return out;
}

std::string json_schema_text(const CommandText& command, const OptionTable& table) {
  nlohmann::ordered_json schema = {
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "sdtune " + command.name},
      {"description", command.summary},
      {"type", "object"},
      {"additionalProperties", false},
      {"properties", nlohmann::ordered_json::object()},
  };
  for (const Option& option : table.options()) {
    nlohmann::ordered_json& property = schema["properties"][option.name];
    add_type(property, option);
    property["description"] = option.help;
    if (!option.required && option.default_value.index() != 0) {
      property["default"] = json_value(option.default_value);
    }
    if (!option.group.empty()) property["x-group"] = option.group;
    if (option.required) schema["required"].push_back(option.name);
  }
  return schema.dump(2) + "\n";
}

}  // namespace sdtune
