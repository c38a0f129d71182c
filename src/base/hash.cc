#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>

#include "base/files.h"

namespace sdtune {

struct Hasher::State {
  XXH3_state_t xxh;
};

Hasher::Hasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;

void Hasher::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size());
}

void Hasher::update(std::string_view text) { update(std::as_bytes(std::span(text))); }

std::string Hasher::hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_->xxh));
  std::string text;
  for (const unsigned char byte : canonical.digest) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string hash_hex(std::span<const std::byte> bytes) {
  Hasher hasher;
  hasher.update(bytes);
  return hasher.hex();
}

std::string hash_hex(std::string_view text) { return hash_hex(std::as_bytes(std::span(text))); }

uint64_t hash_number(std::string_view text) {
  return XXH3_128bits(text.data(), text.size()).high64;
}

std::string hash_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  Hasher hasher;
  std::vector<std::byte> piece(1 << 20);
  for (uint64_t at = 0; at < file.bytes().size(); at += piece.size()) {
    const size_t length = std::min<uint64_t>(piece.size(), file.bytes().size() - at);
    file.read(at, std::span(piece).first(length));
    hasher.update(std::span<const std::byte>(piece).first(length));
  }
  return hasher.hex();
}

}  // namespace sdtune
