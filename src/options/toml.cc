// The only file that sees toml++, built without its asserts (a text such as "[[[" would abort).
#include "options/toml.h"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>
#include <string_view>

#include "base/error.h"

namespace sdtune {
namespace {

constexpr int kLargestDepth = 32;
constexpr int kLargestKeyParts = 32;

[[noreturn]] void refuse(const std::string& why, const std::string& name, int line) {
  throw UsageError("this is not valid TOML: " + why, fmt::format("{}:{}", name, line),
                   "correct the line; strings and file names stand in quotes");
}

// Rewrites a text for the library, which does not survive everything: letters beyond ASCII outside
// strings and "[[[" lead it into undefined behaviour, long dotted keys overflow the stack. What
// comes out is ASCII without comments, its strings in double quotes with escapes; lines stay.
class Preparation {
 public:
  Preparation(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  std::string run() {
    if (!is_plain_text(text_)) refuse("it holds bytes that are not UTF-8 text", name_, bad_line());
    if (follows("\xef\xbb\xbf")) at_ = 3;  // a byte order mark
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (c == '"' || c == '\'') {
        copy_string(c);
      } else {
        check_structure(c);
        out_ += c;
        ++at_;
      }
    }
    return std::move(out_);
  }

 private:
  bool follows(std::string_view part) const { return text_.substr(at_, part.size()) == part; }

  int bad_line() const {
    size_t begin = 0;
    int line = 1;
    for (size_t end; (end = text_.find('\n', begin)) != text_.npos; begin = end + 1, ++line) {
      if (!is_plain_text(text_.substr(begin, end - begin))) break;
    }
    return line;
  }

  void check_structure(char c) {
    if (static_cast<unsigned char>(c) >= 0x80) {
      refuse("a letter beyond ASCII stands outside quotes", name_, line_);
    }
    if (c == '.' && ++dots_ >= kLargestKeyParts) refuse("a key has too many parts", name_, line_);
    if (c == '=' || c == ',' || c == '\n' || c == '[' || c == '{') dots_ = 0;
    if (c == '[' && depth_ == 0 && line_start_ && follows("[[[")) {
      refuse("three brackets begin no table", name_, line_);
    }
    if ((c == '[' || c == '{') && ++depth_ > kLargestDepth) {
      refuse("values are nested too deeply", name_, line_);
    }
    if ((c == ']' || c == '}') && depth_ > 0) --depth_;
    if (c == '\n') ++line_;
    line_start_ = c == '\n' || (line_start_ && (c == ' ' || c == '\t'));
  }

  // A one-line string that is not closed ends with its line, unclosed.
  void copy_string(char quote) {
    line_start_ = false;
    const std::string three(3, quote);
    const bool many_lines = follows(three);
    const char* const mark = many_lines ? "\"\"\"" : "\"";
    at_ += many_lines ? 3 : 1;
    out_ += mark;
    while (at_ < text_.size()) {
      if (text_[at_] == '\n') {
        if (!many_lines) return;
        ++line_;
      } else if (many_lines ? follows(three) : text_[at_] == quote) {
        at_ += many_lines ? 3 : 1;
        // Up to two quotes may stand before the closing three.
        for (; many_lines && at_ < text_.size() && text_[at_] == quote; ++at_) out_ += quote;
        out_ += mark;
        return;
      }
      copy_letter(quote == '"');
    }
  }

  // Copies one letter of a string; a backslash that escapes takes the quote or backslash behind it
  // along, all else behind it is the library's to judge.
  void copy_letter(bool has_escapes) {
    const char c = text_[at_];
    if (static_cast<unsigned char>(c) >= 0x80) {
      out_ += fmt::format("\\U{:08x}", take_code_point());
      return;
    }
    const bool special = c == '"' || c == '\\';
    if (!has_escapes && special) out_ += '\\';
    out_ += c;
    ++at_;
    if (has_escapes && c == '\\' && at_ < text_.size()) {
      if (text_[at_] == '"' || text_[at_] == '\\') {
        out_ += text_[at_++];
      } else if (static_cast<unsigned char>(text_[at_]) >= 0x80) {
        refuse("there is no such escape", name_, line_);
      }
    }
  }

  // The text is well-formed UTF-8 here.
  uint32_t take_code_point() {
    const auto lead = static_cast<unsigned char>(text_[at_++]);
    const int length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    uint32_t point = lead & (0x7fu >> length);
    for (int k = 1; k < length; ++k) {
      point = (point << 6) | (static_cast<unsigned char>(text_[at_++]) & 0x3f);
    }
    return point;
  }

  std::string_view text_;
  const std::string& name_;
  std::string out_;
  size_t at_ = 0;
  int line_ = 1;
  int depth_ = 0;
  int dots_ = 0;
  bool line_start_ = true;
};

TomlValue convert(const toml::node& node, const std::string& name) {
  TomlValue value;
  value.line = static_cast<int>(node.source().begin.line);
  if (const auto* flag = node.as_boolean()) {
    value.scalar = flag->get();
  } else if (const auto* whole = node.as_integer()) {
    value.scalar = whole->get();
  } else if (const auto* number = node.as_floating_point()) {
    value.scalar = number->get();
  } else if (const auto* text = node.as_string()) {
    value.scalar = text->get();
  } else if (const auto* array = node.as_array()) {
    value.kind = TomlValue::Kind::kArray;
    for (const toml::node& item : *array) value.items.push_back(convert(item, name));
  } else if (const auto* table = node.as_table()) {
    value.kind = TomlValue::Kind::kTable;
    for (const auto& [key, entry] : *table) {
      value.entries.push_back({std::string(key.str()), convert(entry, name)});
    }
    std::stable_sort(
        value.entries.begin(), value.entries.end(),
        [](const TomlEntry& a, const TomlEntry& b) { return a.value.line < b.value.line; });
  } else {
    refuse("a date is no value here", name, value.line);
  }
  return value;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\u{:04x}", byte);
    } else {
      result += c;
    }
  }
  return result + '"';
}

}  // namespace

TomlValue parse_toml(const std::string& text, const std::string& name) {
  if (text.size() > kTomlLimit) {
    throw UsageError(
        fmt::format("the file has {} bytes, more than the {} that a configuration may have",
                    text.size(), kTomlLimit),
        name, "give a TOML configuration file");
  }
  const std::string prepared = Preparation(text, name).run();
  const toml::parse_result result = toml::parse(std::string_view(prepared));
  if (!result) {
    const toml::parse_error& error = result.error();
    refuse(std::string(error.description()), name, static_cast<int>(error.source().begin.line));
  }
  return convert(result.table(), name);
}

std::string toml_text(const OptionValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return quoted(*text);
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
    std::string joined;
    for (const std::string& word : *list) joined += (joined.empty() ? "" : ", ") + quoted(word);
    return "[" + joined + "]";
  }
  std::string text = display_text(value);
  // A float needs a point or an exponent to stay one.
  if (std::holds_alternative<double>(value) && text.find_first_of(".en") == text.npos) text += ".0";
  return text;
}

}  // namespace sdtune
