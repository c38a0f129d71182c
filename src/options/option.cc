#include "options/option.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/error.h"
#include "base/numbers.h"

namespace sdtune {
namespace {

constexpr int64_t kLargestSide = 1 << 20;

template <class T>
std::optional<T> read_number(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  return number_in<T>(text);
}

std::string_view trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::optional<Size2> read_size(std::string_view text) {
  const size_t comma = text.find(',');
  const auto width = read_number<int64_t>(trim(text.substr(0, comma)));
  const auto height =
      comma == text.npos ? width : read_number<int64_t>(trim(text.substr(comma + 1)));
  for (const auto& side : {width, height}) {
    if (!side || *side < 1 || *side > kLargestSide) return std::nullopt;
  }
  return Size2{static_cast<int>(*width), static_cast<int>(*height)};
}

std::optional<StepsOrRatio> read_steps(std::string_view text) {
  if (text.ends_with('%')) {
    const auto percent = read_number<double>(text.substr(0, text.size() - 1));
    if (!percent || *percent < 0 || *percent > 100) return std::nullopt;
    return StepsOrRatio{0, *percent / 100};
  }
  if (const auto steps = read_number<int64_t>(text)) {
    if (*steps < 0) return std::nullopt;
    return StepsOrRatio{*steps, 0};
  }
  const auto ratio = read_number<double>(text);
  if (!ratio || *ratio < 0 || *ratio >= 1) return std::nullopt;
  return StepsOrRatio{0, *ratio};
}

// The value in the form of the option's kind, or nothing when it has another type.
std::optional<OptionValue> convert(OptionKind kind, const OptionValue& value) {
  switch (kind) {
    case OptionKind::kFlag:
      if (std::holds_alternative<bool>(value)) return value;
      return std::nullopt;
    case OptionKind::kInteger:
      if (std::holds_alternative<int64_t>(value)) return value;
      if (const double* number = std::get_if<double>(&value)) {
        if (std::abs(*number) < 0x1p53 && std::trunc(*number) == *number) {
          return static_cast<int64_t>(*number);
        }
      }
      return std::nullopt;
    case OptionKind::kNumber:
      if (const double* number = std::get_if<double>(&value)) {
        if (std::isfinite(*number)) return value;
      } else if (const int64_t* whole = std::get_if<int64_t>(&value)) {
        return static_cast<double>(*whole);
      }
      return std::nullopt;
    case OptionKind::kText:
      if (const auto* text = std::get_if<std::string>(&value); text && is_plain_text(*text)) {
        return value;
      }
      return std::nullopt;
    case OptionKind::kList:
      if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
        if (std::all_of(list->begin(), list->end(), is_plain_text)) return value;
      }
      return std::nullopt;
    case OptionKind::kSize:
    case OptionKind::kStepsOrRatio:
      break;
  }
  // These two are written as a number or as text.
  if (std::holds_alternative<bool>(value) || value.index() == 0) return std::nullopt;
  if (std::holds_alternative<std::vector<std::string>>(value)) return std::nullopt;
  const std::string text = display_text(value);
  if (kind == OptionKind::kSize) {
    const auto size = read_size(text);
    return size ? std::optional(size_value(*size)) : std::nullopt;
  }
  // A float such as 100.0 displays as "100", but a file that says 100.0 steps is a mistake.
  if (const double* number = std::get_if<double>(&value); number && *number >= 1) {
    return std::nullopt;
  }
  const auto steps = read_steps(text);
  return steps ? std::optional(steps_value(*steps)) : std::nullopt;
}

bool in_range(const Option& option, const OptionValue& value) {
  if (const int64_t* whole = std::get_if<int64_t>(&value)) {
    if (*whole > option.largest || *whole < -option.largest - 1) return false;
  }
  if (!option.range) return true;
  const auto inside = [&](double number) {
    return number >= option.range->low && number <= option.range->high;
  };
  if (option.kind == OptionKind::kSize) {
    const Size2 size = size_from(value);
    return inside(size.width) && inside(size.height);
  }
  if (const int64_t* whole = std::get_if<int64_t>(&value)) {
    return inside(static_cast<double>(*whole));
  }
  const double* number = std::get_if<double>(&value);
  return !number || inside(*number);
}

// The choice that the value names, exactly or in letters of another case.
std::optional<std::string> matching_choice(const Option& option, const OptionValue& value) {
  const std::string text = display_text(value);
  const auto& choices = option.choices;
  if (std::find(choices.begin(), choices.end(), text) != choices.end()) return text;
  for (const std::string& choice : choices) {
    if (lower(choice) == lower(text)) return choice;
  }
  return std::nullopt;
}

[[noreturn]] void refuse(const Option& option, const std::string& text, const std::string& where) {
  std::string hint = "give " + accepted_text(option);
  const std::string near = option.choices.empty() ? "" : nearest_name(lower(text), option.choices);
  if (!near.empty()) hint += "; did you mean " + near + "?";
  throw UsageError(
      fmt::format("'{}' is no value for --{}", is_plain_text(text) ? text : "…", option.name),
      where, hint);
}

OptionValue checked(const Option& option, const OptionValue& value, const std::string& text,
                    const std::string& where) {
  std::optional<OptionValue> own = convert(option.kind, value);
  if (!own || !in_range(option, *own)) refuse(option, text, where);
  if (option.choices.empty()) return *own;
  const std::optional<std::string> choice = matching_choice(option, *own);
  if (!choice) refuse(option, text, where);
  if (std::holds_alternative<std::string>(*own)) return *choice;
  return *own;
}

}  // namespace

OptionValue parse_value(const Option& option, const std::string& text, const std::string& where) {
  OptionValue value = text;
  switch (option.kind) {
    case OptionKind::kFlag:
      if (lower(text) == "true" || text == "1") value = true;
      if (lower(text) == "false" || text == "0") value = false;
      break;
    case OptionKind::kInteger:
      if (const auto whole = read_number<int64_t>(text)) value = *whole;
      break;
    case OptionKind::kNumber:
      if (const auto number = read_number<double>(text)) value = *number;
      break;
    case OptionKind::kList:
      value = std::vector<std::string>{text};
      break;
    case OptionKind::kText:
    case OptionKind::kSize:
    case OptionKind::kStepsOrRatio:
      break;
  }
  return checked(option, value, text, where);
}

OptionValue check_value(const Option& option, const OptionValue& value, const std::string& where) {
  return checked(option, value, display_text(value), where);
}

std::string accepted_text(const Option& option) {
  if (!option.choices.empty()) {
    std::string list;
    for (const std::string& choice : option.choices) {
      list += (list.empty() ? "" : ", ") + (choice.empty() ? "\"\"" : choice);
    }
    return "one of " + list;
  }
  std::string text;
  switch (option.kind) {
    case OptionKind::kFlag:
      return "true or false";
    case OptionKind::kInteger:
      text = "a whole number";
      break;
    case OptionKind::kNumber:
      text = "a number";
      break;
    case OptionKind::kText:
      return "text (UTF-8)";
    case OptionKind::kList:
      return "words (UTF-8)";
    case OptionKind::kSize:
      text = "a size, N or W,H,";
      break;
    case OptionKind::kStepsOrRatio:
      return "a whole number of steps, or a share of all steps below 1 or as N%";
  }
  const Range range = option.range.value_or(Range{});
  const bool has_low = std::isfinite(range.low), has_high = std::isfinite(range.high);
  const auto bound = [](double value) { return number_text(value); };
  if (has_low && has_high) return text + " from " + bound(range.low) + " to " + bound(range.high);
  if (has_low) return text + " from " + bound(range.low) + " up";
  if (has_high) return text + " up to " + bound(range.high);
  if (text.ends_with(',')) text.pop_back();
  return text;
}

std::string number_text(double number) { return fmt::format("{}", number); }

std::string display_text(const OptionValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const int64_t* whole = std::get_if<int64_t>(&value)) return std::to_string(*whole);
  if (const double* number = std::get_if<double>(&value)) return number_text(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  std::string joined;
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
    for (const std::string& word : *list) joined += (joined.empty() ? "" : " ") + word;
  }
  return joined;
}

bool is_plain_text(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead == 0) return false;
    const size_t length = lead < 0x80           ? 1
                          : (lead >> 5) == 0x6  ? 2
                          : (lead >> 4) == 0xe  ? 3
                          : (lead >> 3) == 0x1e ? 4
                                                : 0;
    if (length == 0 || i + length > text.size()) return false;
    uint32_t point = length == 1 ? lead : lead & (0x7fu >> length);
    for (size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next >> 6) != 0x2) return false;
      point = (point << 6) | (next & 0x3f);
    }
    constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < kSmallest[length] || point > 0x10ffff) return false;
    if (point >= 0xd800 && point <= 0xdfff) return false;
    i += length;
  }
  return true;
}

OptionValue size_value(const Size2& size) {
  if (size.width == size.height) return std::to_string(size.width);
  return fmt::format("{},{}", size.width, size.height);
}

Size2 size_from(const OptionValue& value) {
  return read_size(std::get<std::string>(value)).value();
}

OptionValue steps_value(const StepsOrRatio& steps) {
  if (steps.ratio == 0) return steps.steps;
  if (steps.ratio >= 1) return std::string("100%");
  return steps.ratio;
}

StepsOrRatio steps_from(const OptionValue& value) {
  return read_steps(display_text(value)).value();
}

}  // namespace sdtune
