// The checksums by which the Hub knows files: SHA-256 of large ones (Git LFS), and Git's SHA-1 of
// "blob <size>\0" and the bytes of the others. The ETag of a file is one of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace sdtune {

class Checksum {
 public:
  enum class Kind { kSha256, kGitBlob };
  // `size` is that of the whole content, which kGitBlob begins with.
  Checksum(Kind kind, uint64_t size);
  ~Checksum();
  Checksum(Checksum&&) noexcept;
  Checksum& operator=(Checksum&&) noexcept;

  void update(std::span<const std::byte> bytes);
  // All that is in the file. Error when it cannot be read.
  void update_from_file(const std::filesystem::path& path);
  std::string hex();  // the last call

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// The kind of a checksum by its digits; nothing for another ETag, as some mirrors give.
std::optional<Checksum::Kind> checksum_kind(const std::string& etag);

// Of a whole file. Error when it cannot be read.
std::string checksum_of_file(const std::filesystem::path& path, Checksum::Kind kind);

}  // namespace sdtune
