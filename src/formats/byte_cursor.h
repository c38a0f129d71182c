// Reads little-endian numbers and runs of bytes front to back. A read past the end is an Error that
// says what was being read; nothing is copied but the numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace sdtune {

class ByteCursor {
 public:
  // `what` names the part of the file in errors, `where` the file. Both must outlive the cursor.
  ByteCursor(std::span<const std::byte> bytes, std::string_view what, const std::string& where)
      : bytes_(bytes), what_(what), where_(where) {}

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }
  void skip(uint64_t count) { take(count); }

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  std::span<const std::byte> take(uint64_t count) {
    if (count > remaining()) {
      throw Error(fmt::format("the file ends in the middle of its {}", what_), where_,
                  "The file is damaged or was not fully downloaded. Get it again.");
    }
    const auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }

  std::string_view text(uint64_t count) {
    const auto taken = take(count);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  std::string_view what_;
  const std::string& where_;
  uint64_t position_ = 0;
};

}  // namespace sdtune
