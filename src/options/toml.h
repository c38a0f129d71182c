// TOML in and out, free of the library behind it: a tree of values with line numbers, and the text
// of single values. Knows nothing of options; the dataset configuration reads through it too.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "options/option.h"

namespace sdtune {

struct TomlEntry;

struct TomlValue {
  enum class Kind { kScalar, kArray, kTable };

  Kind kind = Kind::kScalar;
  std::variant<std::monostate, bool, int64_t, double, std::string> scalar;  // kScalar
  std::vector<TomlValue> items;                                             // kArray
  std::vector<TomlEntry> entries;                                           // kTable, in file order
  int line = 0;

  bool is_array() const { return kind == Kind::kArray; }
  bool is_table() const { return kind == Kind::kTable; }
};

struct TomlEntry {
  std::string key;
  TomlValue value;
};

inline constexpr uint64_t kTomlLimit = 1 << 20;  // bytes

// The root table of a TOML 1.0 text. UsageError with "name:line" when the text is no TOML, longer
// than kTomlLimit, nested deeper than 32, has keys of more than 32 parts, or holds dates, which
// nothing here uses.
TomlValue parse_toml(const std::string& text, const std::string& name);

// The value as TOML writes it, so that parse_toml() reads back the same: 1.0, "a\"b", ["x"]. ""
// when not set. The text of strings must be plain text (is_plain_text()).
std::string toml_text(const OptionValue& value);

}  // namespace sdtune
