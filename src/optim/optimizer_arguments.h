// The settings of --optimizer_args, "key=value" with Python literals as values, and how a rule
// reads them: each by name into a field that holds the default, so that what nobody read can be
// refused.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "optim/python_literal.h"

namespace sdtune {

struct OptimizerArguments {
  OptimizerArguments() = default;
  // UsageError for a word without exactly one "=" outside its value, a value that is no literal, or
  // a key given twice.
  explicit OptimizerArguments(const std::vector<std::string>& words);

  std::vector<std::pair<std::string, PythonLiteral>> values;
};

// Each call fills `field` where the key was given. UsageError when the value is of another kind or
// out of range; both ends are included.
class ArgumentReader {
 public:
  explicit ArgumentReader(const OptimizerArguments& arguments) : arguments_(arguments) {}

  void number(const std::string& key, double& field, double low = -kNoLimit,
              double high = kNoLimit);
  void number(const std::string& key, std::optional<double>& field);  // None is none
  void integer(const std::string& key, int64_t& field, int64_t low);
  void flag(const std::string& key, bool& field);  // True, False, 1 or 0
  void numbers(const std::string& key, std::span<double> fields, double low, double high);
  void betas(const std::string& key, double& first, double& second);  // each in [0, 1]

  // One of the choices, or any text when there are none.
  void text(const std::string& key, std::string& field, const std::vector<std::string>& choices);
  void integers(const std::string& key, std::vector<int64_t>& field);  // one or more, none below 0
  // Keys that the reference takes and that change nothing here.
  void without_effect(std::initializer_list<const char*> keys);

  // UsageError for the first key that nobody asked for, naming those that were.
  void refuse_others(const std::string& optimizer) const;

 private:
  static constexpr double kNoLimit = 1e308;
  const PythonLiteral* find(const std::string& key);

  const OptimizerArguments& arguments_;
  std::vector<std::string> known_;
  std::vector<std::string> without_effect_;
};

}  // namespace sdtune
