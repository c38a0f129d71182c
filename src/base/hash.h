// XXH3-128, to tell whether bytes are the bytes that were written. Not for security.
// Source: the xxHash specification, 0.8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sdtune {

class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  std::string hex() const;  // 32 hexadecimal digits

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string hash_hex(std::span<const std::byte> bytes);
std::string hash_hex(std::string_view text);
// The first 64 bits of the same hash: a number that stands for a name.
uint64_t hash_number(std::string_view text);
std::string hash_file(const std::filesystem::path& path);

}  // namespace sdtune
