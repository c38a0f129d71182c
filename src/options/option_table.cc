#include "options/option_table.h"

#include <algorithm>

#include "base/error.h"
#include "options/toml.h"

namespace sdtune {

std::string with_underscores(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

void OptionTable::add(Option option) {
  std::vector<std::string> names = option.aliases;
  names.push_back(option.name);
  for (const std::string& name : names) {
    if (!index_.emplace(with_underscores(name), options_.size()).second) {
      throw std::logic_error("two options are named " + name);
    }
  }
  if (option.default_value.index() != 0) {
    try {
      check_value(option, option.default_value, "default");
    } catch (const UsageError& error) {
      throw std::logic_error(std::string("a default breaks its own rules: ") + error.what());
    }
  }
  options_.push_back(std::move(option));
}

const Option* OptionTable::find(const std::string& name) const {
  const auto found = index_.find(with_underscores(name));
  return found == index_.end() ? nullptr : &options_[found->second];
}

std::string OptionTable::suggestion(const std::string& name) const {
  const std::string wanted = with_underscores(name);
  std::vector<std::string> known, longer;
  for (const auto& [candidate, index] : index_) {
    known.push_back(candidate);
    if (!wanted.empty() && candidate.starts_with(wanted)) longer.push_back(candidate);
  }
  return longer.size() == 1 ? longer.front() : nearest_name(wanted, known);
}

void OptionTable::assign(const Option& option, const OptionValue& value, OptionSource source) {
  option.set(value);
  sources_[option.name] = source;
}

OptionSource OptionTable::source(const std::string& name) const {
  const Option* option = find(name);
  if (!option) throw std::logic_error("there is no option " + name);
  const auto found = sources_.find(option->name);
  return found == sources_.end() ? OptionSource::kDefault : found->second;
}

std::vector<std::pair<std::string, std::string>> record(const OptionTable& table) {
  std::vector<std::pair<std::string, std::string>> result;
  for (const Option& option : table.options()) {
    if (option.recorded) result.emplace_back(option.name, toml_text(option.get()));
  }
  return result;
}

}  // namespace sdtune
