#include "formats/metadata_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"

namespace sdtune {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 32;
constexpr size_t kMaxFields = 1024;
constexpr size_t kMaxShownError = 300;
constexpr const char* kPathField = "image_path";
constexpr const char* kHint = "restore the file or make it again";

// Builds entries from the parser's events. Depth 1 is the object of all entries, 2 an entry; what
// lies deeper is copied as text.
class EntryHandler final : public nlohmann::json_sax<Json> {
 public:
  // `depth` is where the text begins: 0, or 1 where it is one entry.
  EntryHandler(const std::string& where, int depth, const EntrySink& sink)
      : where_(where), sink_(sink), depth_(depth), line_(depth == 1) {}

  bool null() override { return value("null"); }
  bool boolean(bool is_true) override { return value(is_true ? "true" : "false"); }
  bool number_integer(number_integer_t number) override { return value(std::to_string(number)); }
  bool number_unsigned(number_unsigned_t number) override { return value(std::to_string(number)); }
  bool number_float(number_float_t, const string_t& written) override { return value(written); }
  bool string(string_t& text) override { return value(json_string(text)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open('{'); }
  bool end_object() override { return close('}'); }
  bool start_array(size_t) override { return open('['); }
  bool end_array() override { return close(']'); }

  bool key(string_t& name) override {
    if (depth_ == 1) {
      key_ = std::move(name);
    } else if (depth_ == 2) {
      field_ = std::move(name);
    } else {
      separate();
      json_ += json_string(name) + ": ";
    }
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) override {
    // Its text ends in what was read and expected; the library's own number in front says nothing.
    std::string message = error.what();
    message.erase(0, message.find(' ') + 1);
    const size_t line = message.find("line 1, ");
    if (line_ && line != std::string::npos) message.erase(line, 8);  // the place says which line
    if (message.size() > kMaxShownError) message = message.substr(0, kMaxShownError) + "…";
    throw Error("the metadata is no valid JSON: " + message, where_, kHint);
  }

 private:
  [[noreturn]] void fail_entry(const std::string& what) const {
    if (line_) throw Error("this line of the metadata " + what, where_, kHint);
    throw Error(fmt::format("the metadata entry \"{}\" {}", key_, what), where_, kHint);
  }

  void check_place() const {
    if (depth_ == 0) {
      throw Error("the metadata is not one JSON object of pictures", where_,
                  "it should look like {\"picture\": {\"caption\": \"...\"}}");
    }
    if (depth_ == 1) fail_entry("is not an object");
  }

  // Before an element of a container that is copied.
  void separate() {
    if (depth_ == 2 || json_.ends_with('[') || json_.ends_with('{') || json_.ends_with(": "))
      return;
    json_ += ", ";
  }

  bool value(const std::string& text) {
    check_place();
    separate();
    json_ += text;
    if (depth_ == 2) put_field();
    return true;
  }

  bool open(char bracket) {
    if (bracket == '[') check_place();
    if (depth_ >= 2) {
      separate();
      json_ += bracket;
    }
    if (++depth_ > kMaxDepth) {
      throw Error(fmt::format("the metadata is nested deeper than {} levels", kMaxDepth), where_);
    }
    return true;
  }

  bool close(char bracket) {
    --depth_;
    if (depth_ >= 2) json_ += bracket;
    if (depth_ == 2) put_field();
    if (depth_ == 1) put_entry();
    return true;
  }

  void put_field() {
    const auto found =
        std::find_if(fields_.begin(), fields_.end(),
                     [&](const MetadataField& field) { return field.name == field_; });
    if (found != fields_.end()) {
      found->json = std::exchange(json_, {});
      return;
    }
    if (fields_.size() == kMaxFields) {
      fail_entry(fmt::format("has more than {} fields", kMaxFields));
    }
    fields_.push_back({std::move(field_), std::exchange(json_, {})});
  }

  void put_entry() {
    if (line_) take_key();
    sink_(std::move(key_), std::exchange(fields_, {}));
  }

  void take_key() {
    const auto found = std::find_if(fields_.begin(), fields_.end(), [](const MetadataField& field) {
      return field.name == kPathField;
    });
    if (found == fields_.end()) fail_entry("has no image_path");
    if (!found->json.starts_with('"')) fail_entry("has an image_path that is not a string");
    key_ = Json::parse(found->json).get<std::string>();
    fields_.erase(found);
  }

  const std::string& where_;
  const EntrySink& sink_;
  int depth_;
  bool line_;
  std::string key_;
  std::string field_;
  std::string json_;
  std::vector<MetadataField> fields_;
};

void parse(std::string_view text, const std::string& where, int depth, const EntrySink& sink) {
  // The JSON parser takes a zero byte for the end of the text and would leave the rest unread.
  if (text.find('\0') != std::string_view::npos) {
    throw Error("the metadata is no valid JSON: it holds a zero byte", where, kHint);
  }
  EntryHandler handler(where, depth, sink);
  Json::sax_parse(text.begin(), text.end(), &handler);
}

void append_line_break(std::string& out, int level) {
  out += '\n';
  out.append(static_cast<size_t>(2) * level, ' ');
}

}  // namespace

void parse_metadata_object(std::string_view text, const std::string& where, const EntrySink& sink) {
  parse(text, where, 0, sink);
}

void parse_metadata_line(std::string_view line, const std::string& where, const EntrySink& sink) {
  parse(line, where, 1, sink);
}

std::string json_string(std::string_view text) { return Json(text).dump(-1, ' ', true); }

void append_indented(std::string& out, std::string_view json, int level) {
  bool quoted = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    const bool opens = !quoted && (c == '{' || c == '[');
    if (!quoted && (c == '}' || c == ']')) append_line_break(out, --level);
    out += c;
    if (c == '"') quoted = !quoted;
    if (quoted && c == '\\') out += json[++i];
    if (opens && (json[i + 1] == '}' || json[i + 1] == ']')) {
      out += json[++i];
    } else if (opens) {
      append_line_break(out, ++level);
    } else if (!quoted && c == ',') {
      append_line_break(out, level);
      ++i;  // the blank
    }
  }
}

}  // namespace sdtune
