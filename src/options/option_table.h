// All options of one command, collected from a struct's visit(). The table refers to the fields of
// that struct, so the struct must outlive it and stay in place. Knows nothing of where values come
// from.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "options/option.h"

namespace sdtune {

enum class OptionSource { kDefault, kEnvironment, kFile, kCommandLine };

class OptionTable {
 public:
  // std::logic_error when a name is taken or the default breaks the option's own constraints.
  void add(Option option);
  // The struct behind the fields, when nobody else keeps it alive.
  void keep_alive(std::shared_ptr<void> owner) { owner_ = std::move(owner); }

  const std::vector<Option>& options() const& { return options_; }
  void options() && = delete;  // a loop over a temporary table's options would read freed memory
  // By name or alias, with hyphens or underscores; nullptr when there is none.
  const Option* find(const std::string& name) const;
  // The name to suggest for an unknown one, or "".
  std::string suggestion(const std::string& name) const;

  // Stores a value that check_value() or parse_value() returned.
  void assign(const Option& option, const OptionValue& value, OptionSource source);
  OptionSource source(const std::string& name) const;
  // True when the option was given: on the command line, in a file or in the environment.
  bool was_set(const std::string& name) const { return source(name) != OptionSource::kDefault; }

 private:
  std::vector<Option> options_;
  std::map<std::string, size_t> index_;  // names and aliases
  std::map<std::string, OptionSource> sources_;
  std::shared_ptr<void> owner_;
};

// "learning-rate" -> "learning_rate".
std::string with_underscores(std::string name);

// (name, value as TOML) of every recorded option, for a run to keep and to compare. Options that
// are not set have the value "".
std::vector<std::pair<std::string, std::string>> record(const OptionTable& table);

namespace option_fields {

template <class T>
struct Scalar {
  using Type = T;
};
template <class T>
struct Scalar<std::optional<T>> {
  using Type = T;
};

template <class T>
constexpr OptionKind kind_of() {
  if constexpr (std::is_same_v<T, bool>)
    return OptionKind::kFlag;
  else if constexpr (std::is_same_v<T, int> || std::is_same_v<T, int64_t>)
    return OptionKind::kInteger;
  else if constexpr (std::is_same_v<T, double>)
    return OptionKind::kNumber;
  else if constexpr (std::is_same_v<T, std::vector<std::string>>)
    return OptionKind::kList;
  else if constexpr (std::is_same_v<T, Size2>)
    return OptionKind::kSize;
  else if constexpr (std::is_same_v<T, StepsOrRatio>)
    return OptionKind::kStepsOrRatio;
  else {
    static_assert(std::is_same_v<T, std::string> || std::is_same_v<T, std::filesystem::path> ||
                      std::is_enum_v<T>,
                  "no option can have this type");
    return OptionKind::kText;
  }
}

template <class T>
OptionValue to_value(const T& field) {
  if constexpr (std::is_same_v<T, int>)
    return static_cast<int64_t>(field);
  else if constexpr (std::is_same_v<T, std::filesystem::path>)
    return field.string();
  else if constexpr (std::is_same_v<T, Size2>)
    return size_value(field);
  else if constexpr (std::is_same_v<T, StepsOrRatio>)
    return steps_value(field);
  else
    return field;
}

template <class T>
T from_value(const OptionValue& value) {
  if constexpr (std::is_same_v<T, int>)
    return static_cast<int>(std::get<int64_t>(value));
  else if constexpr (std::is_same_v<T, std::filesystem::path>)
    return std::get<std::string>(value);
  else if constexpr (std::is_same_v<T, Size2>)
    return size_from(value);
  else if constexpr (std::is_same_v<T, StepsOrRatio>)
    return steps_from(value);
  else
    return std::get<T>(value);
}

// get and set of an optional field go through those of its content.
template <class T, class Get, class Set>
void bind(Option& option, T& field, Get get, Set set) {
  using Type = typename Scalar<T>::Type;
  if constexpr (std::is_same_v<T, Type>) {
    option.get = [&field, get] { return get(field); };
  } else {
    option.get = [&field, get] { return field ? get(*field) : OptionValue{}; };
  }
  option.set = [&field, set](const OptionValue& value) { field = set(value); };
}

}  // namespace option_fields

// The V of visit(V& v). `v.group("Model")` heads the options that follow.
class OptionCollector {
 public:
  explicit OptionCollector(OptionTable& table) : table_(table) {}

  void group(const char* name) { group_ = name; }

  template <class T, class... Extras>
  void operator()(const char* name, T& field, const char* help, const Extras&... extras) {
    using Type = typename option_fields::Scalar<T>::Type;
    Option option;
    option.name = name;
    option.group = group_;
    option.help = help;
    option.kind = option_fields::kind_of<Type>();
    option.is_path = std::is_same_v<Type, std::filesystem::path>;
    if constexpr (std::is_same_v<Type, int>) option.largest = std::numeric_limits<int>::max();
    if constexpr (std::is_enum_v<Type>) {
      static_assert((std::is_same_v<Extras, EnumNames<Type>> || ...),
                    "an enum needs its EnumNames");
    } else {
      option_fields::bind(option, field, option_fields::to_value<Type>,
                          option_fields::from_value<Type>);
    }
    (apply(option, field, extras), ...);
    option.default_value = option.get();
    table_.add(std::move(option));
  }

 private:
  template <class T>
  void apply(Option& option, T&, const Range& range) {
    option.range = range;
  }
  template <class T>
  void apply(Option& option, T&, const Choices& choices) {
    option.choices = choices.names;
  }
  template <class T>
  void apply(Option& option, T&, const Aliases& aliases) {
    option.aliases = aliases.names;
  }
  template <class T>
  void apply(Option& option, T&, Positional) {
    option.positional = true;
  }
  template <class T>
  void apply(Option& option, T&, Required) {
    option.required = true;
  }
  template <class T>
  void apply(Option& option, T&, Unrecorded) {
    option.recorded = false;
  }
  template <class T, class E>
  void apply(Option& option, T& field, const EnumNames<E>& table) {
    for (const auto& [name, value] : table.names) option.choices.push_back(name);
    option_fields::bind(
        option, field,
        [table](E value) -> OptionValue {
          for (const auto& [name, named] : table.names) {
            if (named == value) return name;
          }
          throw std::logic_error("an enum value has no name");
        },
        [table](const OptionValue& text) {
          for (const auto& [name, named] : table.names) {
            if (name == std::get<std::string>(text)) return named;
          }
          throw std::logic_error("an enum name has no value");
        });
  }

  OptionTable& table_;
  std::string group_;
};

// The options of a struct of fields. `options` must outlive the table.
template <class O>
OptionTable describe(O& options) {
  OptionTable table;
  OptionCollector collector(table);
  options.visit(collector);
  return table;
}

// The options with their defaults, for documentation: the table owns its struct.
template <class O>
OptionTable describe_defaults() {
  auto options = std::make_shared<O>();
  OptionTable table = describe(*options);
  table.keep_alive(options);
  return table;
}

}  // namespace sdtune
