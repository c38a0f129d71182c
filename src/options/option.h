// What an option can be: the field types, the constraints that stand beside a declaration, and the
// type-erased Option that everything else (flags, TOML, help, records) works from.
// A struct of options declares each once, in visit(): v("name", field, "Help.", Range{0, 1}, …).
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sdtune {

// A picture size, written "512" (square) or "W,H".
struct Size2 {
  int width = 0;
  int height = 0;
  bool operator==(const Size2&) const = default;
};

// A count of steps or a share of all steps; at most one of the two is not 0. Written "100" (steps),
// "0.1" or "10%" (share, at most all); 1 and above must be whole, as sd-scripts' int_or_float.
struct StepsOrRatio {
  int64_t steps = 0;
  double ratio = 0;  // [0, 1]
  int64_t of(int64_t total) const {
    return steps > 0 ? steps : static_cast<int64_t>(ratio * total);
  }
  bool operator==(const StepsOrRatio&) const = default;
};

inline constexpr double kUnlimited = std::numeric_limits<double>::infinity();

// Constraints and marks: the words after the help text of a declaration.
struct Range {  // both ends included; for numbers, and for each side of a Size2
  double low = -kUnlimited;
  double high = kUnlimited;
};
struct Choices {  // for text and whole numbers; letters' case does not matter on input
  std::vector<std::string> names;
  Choices(std::initializer_list<std::string> list) : names(list) {}
};
template <class E>
struct EnumNames {  // every enum field needs one
  std::vector<std::pair<std::string, E>> names;
  EnumNames(std::initializer_list<std::pair<std::string, E>> list) : names(list) {}
};
struct Aliases {  // further names, accepted wherever the name is
  std::vector<std::string> names;
  Aliases(std::initializer_list<std::string> list) : names(list) {}
};
struct Positional {};  // may be given without its name; a list takes all words that are left
struct Required {};    // must be given on the command line or in the file
struct Unrecorded {};  // kept out of files and records: secrets, and where options come from

enum class OptionKind { kFlag, kInteger, kNumber, kText, kList, kSize, kStepsOrRatio };

// A value of any kind; monostate is "not set". A size is text ("512", "512,768"); StepsOrRatio is a
// whole number, a number below 1, or the text "100%".
using OptionValue =
    std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<std::string>>;

struct Option {
  std::string name;  // with underscores
  std::vector<std::string> aliases;
  std::string group;
  std::string help;
  OptionKind kind = OptionKind::kText;
  std::optional<Range> range;
  std::vector<std::string> choices;
  int64_t largest = std::numeric_limits<int64_t>::max();  // what the field's own type can hold
  bool positional = false;
  bool required = false;
  bool recorded = true;
  bool is_path = false;  // a file or folder of this machine
  OptionValue default_value;
  std::function<OptionValue()> get;
  std::function<void(const OptionValue&)> set;  // takes only what check_value() returned
};

// Reads `text` as a value of the option. UsageError names the option, the text, `where` it stood,
// and what is accepted.
OptionValue parse_value(const Option& option, const std::string& text, const std::string& where);

// The value in the option's own form (1 for a number is 1.0, "FP16" is the choice "fp16"), or
// UsageError as parse_value(). For values that come typed, from TOML.
OptionValue check_value(const Option& option, const OptionValue& value, const std::string& where);

// "a whole number from 1 to 10", "one of no, fp16, bf16": for messages and documentation.
std::string accepted_text(const Option& option);

// The value as a person writes it on a command line: "0.1", "fp16", "a=1 b=2", "" when not set.
std::string display_text(const OptionValue& value);

// The shortest text that reads back as the same double.
std::string number_text(double number);

// True when the bytes are well-formed UTF-8 without NUL, which every text value must be.
bool is_plain_text(std::string_view text);

// Conversions between fields and values. The value given to a *_from() has passed check_value().
OptionValue size_value(const Size2& size);
Size2 size_from(const OptionValue& value);
OptionValue steps_value(const StepsOrRatio& steps);
StepsOrRatio steps_from(const OptionValue& value);

}  // namespace sdtune
