#include "image/png_text.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace sdtune {

namespace {

constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
constexpr size_t kHeaderEnd = 8 + 8 + 13 + 4;  // signature and IHDR
constexpr size_t kAround = 12;                 // length, name and checksum of a chunk

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string big_endian(uint32_t number) {
  return {static_cast<char>(number >> 24), static_cast<char>(number >> 16),
          static_cast<char>(number >> 8), static_cast<char>(number)};
}

uint32_t read_big_endian(std::string_view bytes) {
  uint32_t number = 0;
  for (size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<uint8_t>(bytes[i]);
  return number;
}

bool is_ascii(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
}

std::string chunk_of(const std::string& keyword, const std::string& text) {
  using namespace std::string_literals;
  const std::string body = is_ascii(text) ? "tEXt" + keyword + "\0"s + text
                                          // not compressed, no language, no translated keyword
                                          : "iTXt" + keyword + "\0\0\0\0\0"s + text;
  const auto sum =
      crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian(static_cast<uint32_t>(body.size() - 4)) + body +
         big_endian(static_cast<uint32_t>(sum));
}

std::string from_latin_1(std::string_view text) {
  std::string utf8;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x80) {
      utf8 += c;
    } else {
      utf8 += static_cast<char>(0xc0 | byte >> 6);
      utf8 += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return utf8;
}

void take_international(std::string_view rest, const std::string& keyword, PngText& all) {
  const bool is_compressed = rest.size() < 2 || rest[0] != 0;
  if (is_compressed) return;
  rest.remove_prefix(2);
  for (int skipped = 0; skipped < 2; ++skipped) {  // language, translated keyword
    const size_t end = rest.find('\0');
    if (end == std::string_view::npos) return;
    rest.remove_prefix(end + 1);
  }
  all.emplace_back(keyword, rest);
}

}  // namespace

std::vector<std::byte> with_png_text(std::span<const std::byte> png, const PngText& text) {
  std::string chunks;
  for (const auto& [keyword, words] : text) chunks += chunk_of(keyword, words);
  const auto* begin = reinterpret_cast<const std::byte*>(chunks.data());
  std::vector<std::byte> result(png.begin(), png.end());
  result.insert(result.begin() + kHeaderEnd, begin, begin + chunks.size());
  return result;
}

PngText read_png_text(std::span<const std::byte> file) {
  std::string_view bytes = as_text(file);
  if (!bytes.starts_with(kSignature)) return {};
  bytes.remove_prefix(kSignature.size());
  PngText all;
  while (bytes.size() >= kAround) {
    const uint32_t length = read_big_endian(bytes);
    if (length > bytes.size() - kAround) break;
    const std::string_view name = bytes.substr(4, 4), body = bytes.substr(8, length);
    bytes.remove_prefix(kAround + length);
    const size_t end = body.find('\0');
    if (end == std::string_view::npos) continue;
    const std::string keyword(body.substr(0, end));
    if (name == "tEXt") all.emplace_back(keyword, from_latin_1(body.substr(end + 1)));
    if (name == "iTXt") take_international(body.substr(end + 1), keyword, all);
  }
  return all;
}

}  // namespace sdtune
