// The bytes of one pickle, read front to back: numbers, texts, lines, and the frames of protocol 4
// and later, which must end where they say. Knows lengths and limits, not what the opcodes mean.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "formats/pickle_machine.h"
#include "formats/pickle_objects.h"

namespace sdtune {

class PickleBytes {
 public:
  PickleBytes(std::span<const std::byte> bytes, const std::string& where)
      : bytes_(bytes.first(std::min(bytes.size(), kMaxPickleBytes))),
        end_(bytes_.size()),
        where_(where) {}

  size_t position() const { return position_; }

  std::string_view take(uint64_t count) {
    if (count > end_ - position_) {
      refuse(framed_ ? kFrameLies : "ends too early, or is longer than a checkpoint's may be");
    }
    const char* begin = reinterpret_cast<const char*>(bytes_.data()) + position_;
    position_ += count;
    return {begin, count};
  }

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  // The next opcode, which may be the first after a frame.
  uint8_t opcode() {
    if (framed_ && position_ == end_) {
      framed_ = false;
      end_ = bytes_.size();
    }
    return number<uint8_t>();
  }

  std::string_view run_of(uint64_t count) {
    if (count > kMaxPickleText) refuse("has a text that is too long");
    return take(count);
  }

  std::string_view line() {
    const char* begin = reinterpret_cast<const char*>(bytes_.data()) + position_;
    const size_t reach = std::min(end_ - position_, kMaxPickleName + 1);
    const void* newline = std::memchr(begin, '\n', reach);
    if (newline == nullptr) refuse("has a name that is too long");
    const std::string_view text = take(static_cast<const char*>(newline) - begin);
    take(1);
    return text;
  }

  void enter_frame() {
    const uint64_t length = number<uint64_t>();
    if (framed_ || length > end_ - position_) refuse(kFrameLies);
    framed_ = true;
    end_ = position_ + length;
  }

  // Call after the last opcode.
  void finish() const {
    if (framed_ && position_ != end_) refuse(kFrameLies);
  }

 private:
  static constexpr const char* kFrameLies = "has a frame that does not end where it says";
  [[noreturn]] void refuse(const char* what) const { refuse_pickle(what, where_); }

  std::span<const std::byte> bytes_;
  size_t position_ = 0;
  size_t end_ = 0;  // of the frame, or of the pickle
  bool framed_ = false;
  const std::string& where_;
};

}  // namespace sdtune
