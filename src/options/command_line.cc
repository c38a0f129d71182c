#include "options/command_line.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "options/config_file.h"

namespace sdtune {
namespace {

const char* const kPlace = "command line";

class WordReader {
 public:
  WordReader(OptionTable& table, std::span<const std::string> words)
      : table_(table), words_(words) {}

  void read() {
    bool only_values = false;
    while (at_ < words_.size()) {
      if (!only_values && words_[at_] == "--") {
        only_values = true;
        ++at_;
      } else if (only_values || !is_option(words_[at_])) {
        take_positional();
      } else {
        take_option();
      }
    }
  }

 private:
  static std::string name_of(const std::string& word) {
    return word.substr(2, word.find('=') == word.npos ? word.npos : word.find('=') - 2);
  }

  // "-1", "-.5" and "-" are values, and so is a text that begins with a dash but has spaces, unless
  // an option's name stands before them.
  bool is_option(const std::string& word) const {
    if (word.size() < 2 || word[0] != '-') return false;
    if (word[1] == '.' || (word[1] >= '0' && word[1] <= '9')) return false;
    return word.find(' ') == word.npos || (word[1] == '-' && table_.find(name_of(word)));
  }

  void take_option() {
    const std::string& word = words_[at_++];
    const bool two_dashes = word.starts_with("--");
    const std::string name = two_dashes ? name_of(word) : word.substr(1, word.find('=') - 1);
    const Option* option = two_dashes ? table_.find(name) : nullptr;
    if (!option) {
      const std::string near = table_.suggestion(name);
      throw UsageError(fmt::format("there is no option '{}'", word.substr(0, word.find('='))),
                       kPlace,
                       near.empty() ? "--help lists the options" : "did you mean --" + near + "?");
    }
    const size_t equals = word.find('=');
    if (equals != word.npos) {
      assign(*option, parse_value(*option, word.substr(equals + 1), kPlace));
    } else if (option->kind == OptionKind::kFlag) {
      assign(*option, true);
    } else if (option->kind == OptionKind::kList) {
      std::vector<std::string> list;
      while (at_ < words_.size() && !is_option(words_[at_])) list.push_back(words_[at_++]);
      assign(*option, check_value(*option, list, kPlace));
    } else if (at_ == words_.size() || is_option(words_[at_])) {
      throw UsageError(fmt::format("--{} needs a value", option->name), kPlace,
                       fmt::format("give {}; a value that begins with a dash as --{}=VALUE",
                                   accepted_text(*option), option->name));
    } else {
      assign(*option, parse_value(*option, words_[at_++], kPlace));
    }
  }

  void take_positional() {
    const auto& options = table_.options();
    while (next_positional_ < options.size() && !options[next_positional_].positional) {
      ++next_positional_;
    }
    const std::string& word = words_[at_++];
    if (next_positional_ == options.size()) {
      throw UsageError(fmt::format("'{}' belongs to no option", word), kPlace,
                       "options begin with --; a switch takes its value as --switch=true");
    }
    const Option& option = options[next_positional_];
    if (option.kind != OptionKind::kList) {
      ++next_positional_;
      assign(option, parse_value(option, word, kPlace));
      return;
    }
    list_.push_back(word);
    assign(option, check_value(option, list_, kPlace));
  }

  void assign(const Option& option, const OptionValue& value) {
    table_.assign(option, value, OptionSource::kCommandLine);
  }

  OptionTable& table_;
  std::span<const std::string> words_;
  size_t at_ = 0;
  size_t next_positional_ = 0;
  std::vector<std::string> list_;  // the words of a positional list so far
};

void require(const OptionTable& table) {
  for (const Option& option : table.options()) {
    if (!option.required || table.was_set(option.name)) continue;
    throw UsageError(fmt::format("{}{} is missing", option.positional ? "" : "--", option.name),
                     kPlace, fmt::format("give {}: {}", accepted_text(option), option.help));
  }
}

}  // namespace

bool parse_command_line(OptionTable& table, std::span<const std::string> args) {
  WordReader(table, args).read();
  const Option* file = table.find("config_file");
  const Option* output = table.find("output_config");
  const bool writes = output && output->get() == OptionValue(true);
  if (writes && !(file && table.was_set("config_file"))) {
    throw UsageError("--output_config needs --config_file, the file to write", kPlace,
                     "add --config_file NAME.toml");
  }
  if (file && table.was_set("config_file")) {
    const auto path = with_toml_extension(display_text(file->get()));
    if (writes) {
      write_config_file(table, path);
      return false;
    }
    apply_config_file(table, path);
  }
  require(table);
  return true;
}

bool asks_for_help(std::span<const std::string> args) {
  const auto end = std::find(args.begin(), args.end(), "--");
  return std::any_of(args.begin(), end,
                     [](const std::string& word) { return word == "-h" || word == "--help"; });
}

}  // namespace sdtune
