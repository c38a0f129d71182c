// Values of --optimizer_args and the like, which sd-scripts reads as Python literals: numbers,
// True, False, None, strings in quotes, tuples and lists. They are parsed as data; nothing is ever
// evaluated. Not dictionaries, sets, bytes or complex numbers, which no option takes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sdtune {

struct PythonLiteral {
  // monostate is None; a tuple and a list are the same.
  using Value =
      std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<PythonLiteral>>;
  Value value;
};

// Reads the whole text; "0.9, 0.999" without brackets is a tuple, as in Python. Error, saying at
// which character, for anything else.
PythonLiteral parse_python_literal(std::string_view text);

}  // namespace sdtune
