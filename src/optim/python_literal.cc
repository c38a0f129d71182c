#include "optim/python_literal.h"

#include <algorithm>

#include "base/error.h"
#include "base/numbers.h"

namespace sdtune {

namespace {

using Items = std::vector<PythonLiteral>;

constexpr int kDeepest = 16;
constexpr char kEnd = '\0';

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  PythonLiteral whole() {
    if (here() == kEnd) fail();
    PythonLiteral result = tuple_or_value(kEnd);
    if (at_ != text_.size()) fail();
    return result;
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(fmt::format("\"{}\" is no Python literal (character {})", text_, at_ + 1), "",
                "numbers, True, False, None, 'text' and tuples of them are read");
  }

  // The next character that is no space.
  char here() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    return at_ < text_.size() ? text_[at_] : kEnd;
  }

  // Values with commas between, up to `close`, which is left. Whether there was a comma.
  bool read_items(char close, Items& items) {
    bool comma = false;
    while (here() != close) {
      items.push_back(value());
      if (here() != ',') break;
      comma = true;
      ++at_;
    }
    return comma;
  }

  PythonLiteral tuple_or_value(char close) {
    Items items;
    const bool comma = read_items(close, items);
    if (items.size() == 1 && !comma) return std::move(items.front());
    return {std::move(items)};
  }

  PythonLiteral bracketed(char close) {
    if (++depth_ > kDeepest) fail();
    ++at_;
    PythonLiteral result;
    if (close == ')') {
      result = tuple_or_value(close);
    } else {
      Items items;
      read_items(close, items);
      result.value = std::move(items);
    }
    if (here() != close) fail();
    ++at_;
    --depth_;
    return result;
  }

  PythonLiteral quoted(char quote) {
    std::string text;
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
        if (at_ == text_.size() || (text_[at_] != quote && text_[at_] != '\\')) fail();
      }
      text += text_[at_];
    }
    if (at_ == text_.size()) fail();
    ++at_;
    return {std::move(text)};
  }

  PythonLiteral number() {
    if (text_[at_] == '+') ++at_;
    const size_t end = std::min(text_.find_first_not_of("0123456789+-.eE_", at_), text_.size());
    std::string digits(text_.substr(at_, end - at_));
    if (digits.starts_with('_') || digits.ends_with('_')) fail();
    std::erase(digits, '_');
    PythonLiteral result;
    if (const auto integer = number_in<int64_t>(digits)) {
      result.value = *integer;
    } else if (const auto real = number_in<double>(digits)) {
      result.value = *real;
    } else {
      fail();
    }
    at_ = end;
    return result;
  }

  PythonLiteral word() {
    const std::pair<std::string_view, PythonLiteral> words[] = {
        {"True", {true}}, {"False", {false}}, {"None", {}}};
    for (const auto& [name, literal] : words) {
      if (!text_.substr(at_).starts_with(name)) continue;
      at_ += name.size();
      return literal;
    }
    fail();
  }

  PythonLiteral value() {
    const char first = here();
    if (first == '(') return bracketed(')');
    if (first == '[') return bracketed(']');
    if (first == '\'' || first == '"') return quoted(first);
    if (std::string_view("0123456789+-.").find(first) != std::string_view::npos) return number();
    return word();
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

PythonLiteral parse_python_literal(std::string_view text) { return Parser(text).whole(); }

}  // namespace sdtune
