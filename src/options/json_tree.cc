#include "options/json_tree.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"

namespace sdtune {
namespace {

using Json = nlohmann::json;

constexpr size_t kLargestDepth = 32;

// Builds the tree from the parser's events. No value of the library is ever made, so keys given
// twice are seen and depth is bounded before anything recursive touches the tree.
class TreeBuilder final : public nlohmann::json_sax<Json> {
 public:
  TreeBuilder(const std::string& text, const std::string& name) : text_(text), name_(name) {}

  TomlValue take() { return std::move(root_); }

  bool null() override { return scalar({}); }
  bool boolean(bool value) override { return scalar({.scalar = value}); }
  bool number_integer(number_integer_t value) override {
    return scalar({.scalar = int64_t{value}});
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > uint64_t{std::numeric_limits<int64_t>::max()}) refuse("a number is too large");
    return scalar({.scalar = static_cast<int64_t>(value)});
  }
  bool number_float(number_float_t value, const string_t&) override {
    return scalar({.scalar = double{value}});
  }
  bool string(string_t& value) override { return scalar({.scalar = std::move(value)}); }
  bool binary(binary_t&) override { return false; }  // only in the library's binary formats

  bool start_object(size_t) override { return open(TomlValue::Kind::kTable); }
  bool start_array(size_t) override { return open(TomlValue::Kind::kArray); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Level& level = open_.back();
    if (!level.keys.insert(name).second) {
      refuse(fmt::format("the key \"{}\" is given twice in one object", name));
    }
    level.value.entries.push_back({std::move(name), {}});
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    const auto end = text_.begin() + static_cast<ptrdiff_t>(std::min(position, text_.size()));
    const auto line = 1 + std::count(text_.begin(), end, '\n');
    // The message ends in what was read and expected; what stands before says nothing more.
    const std::string message = error.what();
    const size_t told = message.rfind(": ");
    refuse(told == message.npos ? message : message.substr(told + 2),
           fmt::format("{}:{}", name_, line));
  }

 private:
  struct Level {
    TomlValue value;
    std::set<std::string> keys;
  };

  [[noreturn]] void refuse(const std::string& why, const std::string& place = "") const {
    throw UsageError("this is not a valid JSON configuration: " + why,
                     place.empty() ? name_ : place, "correct the file, or write it as TOML");
  }

  bool scalar(TomlValue value) {
    put(std::move(value));
    return true;
  }

  bool open(TomlValue::Kind kind) {
    if (open_.size() >= kLargestDepth) refuse("values are nested too deeply");
    open_.push_back({.value = {.kind = kind}});
    return true;
  }

  bool close() {
    TomlValue value = std::move(open_.back().value);
    open_.pop_back();
    put(std::move(value));
    return true;
  }

  void put(TomlValue value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    TomlValue& parent = open_.back().value;
    if (parent.is_table()) {
      parent.entries.back().value = std::move(value);
    } else {
      parent.items.push_back(std::move(value));
    }
  }

  const std::string& text_;
  const std::string& name_;
  std::vector<Level> open_;
  TomlValue root_;
};

}  // namespace

TomlValue parse_json_tree(const std::string& text, const std::string& name) {
  if (text.size() > kTomlLimit) {
    throw UsageError(
        fmt::format("the file has {} bytes, more than the {} that a configuration may have",
                    text.size(), kTomlLimit),
        name, "give a JSON configuration file");
  }
  TreeBuilder builder(text, name);
  Json::sax_parse(text, &builder);
  return builder.take();
}

}  // namespace sdtune
