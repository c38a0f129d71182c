#include "formats/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/error.h"
#include "formats/checked_size.h"

namespace sdtune {
namespace {

constexpr const char* kHint =
    "The file is damaged or was not fully downloaded. Get it again from its source.";

std::optional<DType> dtype_from_name(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(DType::kBool); ++i) {
    const DType dtype = static_cast<DType>(i);
    if (name == dtype_name(dtype)) return dtype;
  }
  return std::nullopt;
}

// Takes the parser's events one by one: a document tree of a hostile header would take far more
// memory than the file, and would have lost the duplicate keys.
class HeaderHandler final : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderHandler(SafetensorsHeader& header, const std::string& where)
      : header_(header), where_(where) {}

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_float(number_float_t, const string_t&) override {
    return unexpected("a number that is no whole number of 64 bits");
  }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool binary(binary_t&) override { return unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ == State::kShape) {
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        refuse(fmt::format("the tensor '{}' has a size that does not fit in 63 bits",
                           entry_.info.name));
      }
      if (entry_.info.shape.size() == kMaxDimensions) {
        refuse(fmt::format("the tensor '{}' has more than {} dimensions", entry_.info.name,
                           kMaxDimensions));
      }
      entry_.info.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (state_ != State::kOffsets || offsets_ == 2) return unexpected("a number");
    (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
    return true;
  }

  bool string(string_t& value) override {
    if (state_ == State::kMetadata) {
      if (!header_.metadata.emplace(key_, std::move(value)).second) refuse_duplicate(key_);
      return true;
    }
    if (state_ != State::kTensor || key_ != "dtype") return unexpected("text");
    const std::optional<DType> dtype = dtype_from_name(value);
    if (!dtype) {
      throw Error(fmt::format("the tensor '{}' has the unknown dtype '{}'", entry_.info.name,
                              value.substr(0, 40)),
                  where_, "Convert the file to a dtype such as F32, F16 or BF16.");
    }
    entry_.info.dtype = *dtype;
    return true;
  }

  bool start_object(std::size_t) override {
    switch (state_) {
      case State::kStart:
        state_ = State::kTop;
        return true;
      case State::kTop:
        return open_entry();
      default:
        return unexpected("an object");
    }
  }

  bool end_object() override {
    if (state_ == State::kTensor) {
      if (fields_ != kAllFields) {
        refuse(fmt::format("the tensor '{}' lacks dtype, shape or data_offsets", entry_.info.name));
      }
      header_.entries.push_back(std::move(entry_));
    }
    state_ = state_ == State::kTop ? State::kEnd : State::kTop;
    return true;
  }

  bool start_array(std::size_t) override {
    if (state_ == State::kTensor && key_ == "shape") {
      state_ = State::kShape;
    } else if (state_ == State::kTensor && key_ == "data_offsets") {
      state_ = State::kOffsets;
    } else {
      return unexpected("a list");
    }
    return true;
  }

  bool end_array() override {
    if (state_ == State::kOffsets && offsets_ != 2) {
      refuse(fmt::format("data_offsets of the tensor '{}' are not two numbers", entry_.info.name));
    }
    state_ = State::kTensor;
    return true;
  }

  bool key(string_t& name) override {
    key_ = std::move(name);
    if (state_ != State::kTensor) return true;
    const int field = key_ == "dtype"          ? kDTypeField
                      : key_ == "shape"        ? kShapeField
                      : key_ == "data_offsets" ? kOffsetsField
                                               : 0;
    if (field == 0) {
      refuse(fmt::format("the tensor '{}' has the unknown field '{}'", entry_.info.name,
                         key_.substr(0, 40)));
    }
    if (fields_ & field) refuse_duplicate(key_);
    fields_ |= field;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    refuse(fmt::format("the header is no valid UTF-8 JSON (at byte {})", position));
  }

 private:
  enum class State { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };
  static constexpr int kDTypeField = 1, kShapeField = 2, kOffsetsField = 4, kAllFields = 7;

  bool open_entry() {
    if (key_ == "__metadata__") {
      if (std::exchange(has_metadata_, true)) refuse_duplicate(key_);
      state_ = State::kMetadata;
      return true;
    }
    if (header_.entries.size() == kMaxSafetensorsTensors) {
      refuse(fmt::format("the file lists more than {} tensors", kMaxSafetensorsTensors));
    }
    entry_ = {};
    entry_.info.name = key_;
    fields_ = 0;
    offsets_ = 0;
    state_ = State::kTensor;
    return true;
  }

  bool unexpected(const char* found) {
    refuse(fmt::format("the header holds {} where none belongs (near the key '{}')", found,
                       key_.substr(0, 80)));
  }
  [[noreturn]] void refuse_duplicate(const std::string& key) {
    refuse(fmt::format("the key '{}' stands twice in the header", key.substr(0, 80)));
  }
  [[noreturn]] void refuse(std::string what) { throw Error(std::move(what), where_, kHint); }

  SafetensorsHeader& header_;
  const std::string& where_;
  State state_ = State::kStart;
  std::string key_;
  SafetensorsEntry entry_;
  int fields_ = 0;
  int offsets_ = 0;
  bool has_metadata_ = false;
};

void check_size(const SafetensorsEntry& entry, const std::string& where) {
  const std::optional<uint64_t> bytes = checked_bytes(entry.info.shape, entry.info.dtype);
  if (!bytes || entry.end < entry.begin || entry.end - entry.begin != *bytes) {
    throw Error(fmt::format("the shape and dtype of the tensor '{}' are not the size of its data",
                            entry.info.name),
                where, kHint);
  }
}

// The entries, sorted by their data, must lie end to end and fill the buffer.
void check_cover(const SafetensorsHeader& header, uint64_t buffer_bytes, const std::string& where) {
  uint64_t expected = 0;
  for (const SafetensorsEntry& entry : header.entries) {
    check_size(entry, where);
    if (entry.begin != expected) {
      throw Error(
          fmt::format("the data of the tensor '{}' {} what stands before it", entry.info.name,
                      entry.begin < expected ? "overlaps" : "leaves a hole after"),
          where, kHint);
    }
    expected = entry.end;
  }
  if (expected != buffer_bytes) {
    throw Error(
        fmt::format("the tensors take {} bytes, but the file holds {}", expected, buffer_bytes),
        where, kHint);
  }
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t buffer_bytes,
                                           const std::string& where) {
  if (json.empty() || json.front() != '{') {
    throw Error("the header does not start with '{'", where, kHint);
  }
  // The JSON parser takes a zero byte for the end of the text and would leave the rest unread.
  if (json.find('\0') != std::string_view::npos) {
    throw Error("the header is no valid UTF-8 JSON: it holds a zero byte", where, kHint);
  }
  SafetensorsHeader header;
  HeaderHandler handler(header, where);
  nlohmann::json::sax_parse(json.begin(), json.end(), &handler);
  std::stable_sort(header.entries.begin(), header.entries.end(),
                   [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
                     return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
                   });
  check_cover(header, buffer_bytes, where);
  return header;
}

}  // namespace sdtune
