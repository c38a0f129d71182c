#include "optim/optimizer_arguments.h"

#include <algorithm>

#include "base/error.h"

namespace sdtune {

namespace {

constexpr const char* kOption = "--optimizer_args";

[[noreturn]] void refuse(const std::string& key, const std::string& wanted) {
  throw UsageError(fmt::format("\"{}\" takes {}", key, wanted), kOption);
}

// True and False are no numbers here, though they are in Python.
std::optional<double> as_number(const PythonLiteral& literal) {
  if (const auto* integer = std::get_if<int64_t>(&literal.value)) {
    return static_cast<double>(*integer);
  }
  const auto* real = std::get_if<double>(&literal.value);
  return real == nullptr ? std::nullopt : std::optional(*real);
}

double number_between(const std::string& key, const PythonLiteral& literal, double low,
                      double high) {
  const std::optional<double> number = as_number(literal);
  if (!number) refuse(key, "a number");
  if (*number < low || *number > high) {
    refuse(key, high > 1e300 ? fmt::format("a number of at least {}", low)
                             : fmt::format("a number from {} to {}", low, high));
  }
  return *number;
}

}  // namespace

OptimizerArguments::OptimizerArguments(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == 0 || equals == std::string::npos) {
      throw UsageError(fmt::format("\"{}\" is not of the form key=value", word), kOption);
    }
    const std::string key = word.substr(0, equals);
    for (const auto& [name, value] : values) {
      if (name == key) throw UsageError(fmt::format("\"{}\" is given twice", key), kOption);
    }
    try {
      values.emplace_back(key, parse_python_literal(std::string_view(word).substr(equals + 1)));
    } catch (const Error& error) {
      throw UsageError(fmt::format("{}: {}", key, error.what()), kOption, error.hint());
    }
  }
}

const PythonLiteral* ArgumentReader::find(const std::string& key) {
  known_.push_back(key);
  for (const auto& [name, value] : arguments_.values) {
    if (name == key) return &value;
  }
  return nullptr;
}

void ArgumentReader::number(const std::string& key, double& field, double low, double high) {
  if (const PythonLiteral* given = find(key)) field = number_between(key, *given, low, high);
}

void ArgumentReader::number(const std::string& key, std::optional<double>& field) {
  const PythonLiteral* given = find(key);
  if (given == nullptr) return;
  field = std::holds_alternative<std::monostate>(given->value)
              ? std::nullopt
              : std::optional(number_between(key, *given, -kNoLimit, kNoLimit));
}

void ArgumentReader::integer(const std::string& key, int64_t& field, int64_t low) {
  const PythonLiteral* given = find(key);
  if (given == nullptr) return;
  const auto* integer = std::get_if<int64_t>(&given->value);
  if (integer == nullptr || *integer < low) {
    refuse(key, fmt::format("a whole number of at least {}", low));
  }
  field = *integer;
}

void ArgumentReader::flag(const std::string& key, bool& field) {
  const PythonLiteral* given = find(key);
  if (given == nullptr) return;
  if (const auto* truth = std::get_if<bool>(&given->value)) {
    field = *truth;
  } else if (const auto number = as_number(*given); number == 0.0 || number == 1.0) {
    field = *number == 1.0;
  } else {
    refuse(key, "True or False");
  }
}

void ArgumentReader::numbers(const std::string& key, std::span<double> fields, double low,
                             double high) {
  const PythonLiteral* given = find(key);
  if (given == nullptr) return;
  const auto* items = std::get_if<std::vector<PythonLiteral>>(&given->value);
  if (items == nullptr || items->size() != fields.size()) {
    refuse(key, fmt::format("{} numbers, with commas between", fields.size()));
  }
  for (size_t i = 0; i < fields.size(); ++i) {
    fields[i] = number_between(key, (*items)[i], low, high);
  }
}

void ArgumentReader::betas(const std::string& key, double& first, double& second) {
  double both[] = {first, second};
  numbers(key, both, 0, 1);
  first = both[0];
  second = both[1];
}

void ArgumentReader::text(const std::string& key, std::string& field,
                          const std::vector<std::string>& choices) {
  const PythonLiteral* given = find(key);
  if (given == nullptr) return;
  const auto* text = std::get_if<std::string>(&given->value);
  const bool is_known =
      text != nullptr &&
      (choices.empty() || std::find(choices.begin(), choices.end(), *text) != choices.end());
  if (!is_known) {
    refuse(key, choices.empty() ? "a text in quotes"
                                : fmt::format("one of {}", fmt::join(choices, ", ")));
  }
  field = *text;
}

void ArgumentReader::integers(const std::string& key, std::vector<int64_t>& field) {
  const PythonLiteral* given = find(key);
  if (given == nullptr) return;
  const auto* items = std::get_if<std::vector<PythonLiteral>>(&given->value);
  if (items == nullptr || items->empty()) refuse(key, "whole numbers, as [100, 200]");
  field.clear();
  for (const PythonLiteral& item : *items) {
    const auto* integer = std::get_if<int64_t>(&item.value);
    if (integer == nullptr || *integer < 0) refuse(key, "whole numbers, as [100, 200]");
    field.push_back(*integer);
  }
}

void ArgumentReader::without_effect(std::initializer_list<const char*> keys) {
  without_effect_.insert(without_effect_.end(), keys.begin(), keys.end());
}

void ArgumentReader::refuse_others(const std::string& optimizer) const {
  for (const auto& [name, value] : arguments_.values) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    const auto& idle = without_effect_;
    if (std::find(idle.begin(), idle.end(), name) != idle.end()) continue;
    const std::string near = nearest_name(name, known_);
    throw UsageError(
        fmt::format("\"{}\" is no setting of {}", name, optimizer), kOption,
        near.empty() ? fmt::format("it takes {}", fmt::join(known_, ", "))
                     : fmt::format("did you mean {}? It takes {}", near, fmt::join(known_, ", ")));
  }
}

}  // namespace sdtune
