#include "formats/npy_header.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "base/error.h"
#include "formats/byte_cursor.h"
#include "formats/checked_size.h"

namespace sdtune {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr uint64_t kMaxHeaderBytes = 10'000;  // numpy's own limit
constexpr uint64_t kAlignment = 64;
constexpr const char* kHint =
    "The file is damaged or was made by another program. Make it again, with numpy.savez and "
    "arrays of plain numbers.";

[[noreturn]] void refuse(const std::string& what, const std::string& where) {
  throw Error(what, where, kHint);
}

// The dictionary's text, front to back.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  NpyHeader parse() {
    NpyHeader header;
    bool seen_descr = false, seen_order = false, seen_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr") {
        once(seen_descr);
        if (peek() != '\'' && peek() != '"') {
          refuse("the array holds records, not plain numbers", where_);
        }
        header.descr = quoted();
      } else if (key == "fortran_order") {
        once(seen_order);
        column_major_ = boolean();
      } else if (key == "shape") {
        once(seen_shape);
        header.shape = tuple();
      } else {
        fail();
      }
      if (!accept(',') && peek() != '}') fail();
    }
    if (peek() != '\0' || !seen_descr || !seen_order || !seen_shape) fail();
    if (column_major_ && header.shape.size() > 1) {
      refuse("the array is stored column by column (fortran_order), which is not read", where_);
    }
    return header;
  }

 private:
  [[noreturn]] void fail() const { refuse("the array's header is malformed", where_); }

  void once(bool& seen) const {
    if (seen) fail();
    seen = true;
  }

  // The next character that is no blank; NUL at the end.
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool accept(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }

  void expect(char wanted) {
    if (!accept(wanted)) fail();
  }

  std::string_view quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail();
    const size_t begin = ++at_;
    const size_t end = text_.find(quote, begin);
    if (end == std::string_view::npos) fail();
    at_ = end + 1;
    return text_.substr(begin, end - begin);
  }

  bool boolean() {
    peek();
    for (const auto& [word, value] : {std::pair{"True", true}, std::pair{"False", false}}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += std::string_view(word).size();
      return value;
    }
    fail();
  }

  std::vector<int64_t> tuple() {
    std::vector<int64_t> sizes;
    bool ends_in_comma = false;
    expect('(');
    while (!accept(')')) {
      if (!sizes.empty() && !ends_in_comma) fail();
      if (sizes.size() == kMaxDimensions) refuse("the array has too many dimensions", where_);
      peek();
      int64_t size = 0;
      const char* begin = text_.data() + at_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), size);
      if (error != std::errc() || size < 0) fail();
      at_ += static_cast<size_t>(end - begin);
      sizes.push_back(size);
      ends_in_comma = accept(',');
    }
    if (sizes.size() == 1 && !ends_in_comma) fail();  // (3) is no tuple
    return sizes;
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
  bool column_major_ = false;
};

std::string_view header_text(ByteCursor& cursor, const std::string& where) {
  if (cursor.remaining() < 10 || cursor.text(kMagic.size()) != kMagic) {
    refuse("the entry is no array of numpy", where);
  }
  const uint8_t major = cursor.number<uint8_t>();
  const uint8_t minor = cursor.number<uint8_t>();
  if (major < 1 || major > 3 || minor != 0) {
    refuse(fmt::format("the array has format version {}.{}; 1.0 to 3.0 are known", major, minor),
           where);
  }
  const uint64_t length = major == 1 ? cursor.number<uint16_t>() : cursor.number<uint32_t>();
  if (length > kMaxHeaderBytes) {
    refuse(fmt::format("the array's header has {} bytes; {} are allowed", length, kMaxHeaderBytes),
           where);
  }
  return cursor.text(length);
}

}  // namespace

uint64_t npy_item_bytes(const std::string& descr) {
  if (descr.size() != 3) return 0;
  const uint64_t bytes = descr[2] - '0';
  if (descr[0] != (bytes == 1 ? '|' : '<')) return 0;
  switch (descr[1]) {
    case 'f':
      return bytes == 2 || bytes == 4 || bytes == 8 ? bytes : 0;
    case 'i':
    case 'u':
      return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8 ? bytes : 0;
    case 'b':
      return bytes == 1 ? 1 : 0;
    default:
      return 0;
  }
}

uint64_t npy_value_bytes(const std::string& descr, std::span<const int64_t> shape,
                         const std::string& where) {
  const uint64_t item = npy_item_bytes(descr);
  if (item == 0) {
    refuse(fmt::format("the array's type '{}' is not read; little-endian numbers are", descr),
           where);
  }
  const auto numel = checked_numel(shape);
  uint64_t bytes = 0;
  if (!numel || __builtin_mul_overflow(*numel, item, &bytes)) {
    refuse("the array's shape asks for more than any memory holds", where);
  }
  return bytes;
}

NpyHeader parse_npy_header(std::span<const std::byte> content, const std::string& where) {
  ByteCursor cursor(content, "array header", where);
  NpyHeader header = HeaderParser(header_text(cursor, where), where).parse();
  header.header_bytes = cursor.position();
  header.value_bytes = npy_value_bytes(header.descr, header.shape, where);
  if (header.value_bytes != cursor.remaining()) {
    refuse(fmt::format("the array has {} bytes where its shape asks for {}", cursor.remaining(),
                       header.value_bytes),
           where);
  }
  return header;
}

std::string npy_header_text(const std::string& descr, std::span<const int64_t> shape) {
  std::string sizes;
  for (const int64_t size : shape) sizes += fmt::format("{}{}", sizes.empty() ? "" : ", ", size);
  if (shape.size() == 1) sizes += ',';
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, sizes);
  const uint64_t before = kMagic.size() + 2 + 2;
  text.append(kAlignment - 1 - (before + text.size()) % kAlignment, ' ');
  text += '\n';
  std::string header(kMagic);
  header +=
      {'\1', '\0', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return header + text;
}

}  // namespace sdtune
