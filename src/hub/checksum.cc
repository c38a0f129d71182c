#include "hub/checksum.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/partial_file.h"

namespace sdtune {

struct Checksum::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Checksum::Checksum(Kind kind, uint64_t size) : context_(std::make_unique<Context>()) {
  const EVP_MD* algorithm = kind == Kind::kSha256 ? EVP_sha256() : EVP_sha1();
  if (EVP_DigestInit_ex(context_->evp, algorithm, nullptr) != 1) {
    throw Error("the checksum of a file cannot be computed", "OpenSSL",
                "its settings forbid SHA-1 or SHA-256");
  }
  if (kind == Kind::kGitBlob) {
    const std::string head = fmt::format("blob {}", size);
    update(std::as_bytes(std::span(head.c_str(), head.size() + 1)));
  }
}

Checksum::~Checksum() = default;
Checksum::Checksum(Checksum&&) noexcept = default;
Checksum& Checksum::operator=(Checksum&&) noexcept = default;

void Checksum::update(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size());
}

void Checksum::update_from_file(const std::filesystem::path& path) {
  const FileReader file(path);
  std::vector<std::byte> piece(1 << 20);
  uint64_t at = 0;
  size_t got = 0;
  do {
    got = file.read(at, piece);
    update(std::span(piece).first(got));
    at += got;
  } while (got > 0);
}

std::string Checksum::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_DigestFinal_ex(context_->evp, digest, &length);
  std::string text;
  for (unsigned int i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::optional<Checksum::Kind> checksum_kind(const std::string& etag) {
  const bool is_hex = std::all_of(etag.begin(), etag.end(), [](char letter) {
    return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f');
  });
  if (is_hex && etag.size() == 64) return Checksum::Kind::kSha256;
  if (is_hex && etag.size() == 40) return Checksum::Kind::kGitBlob;
  return std::nullopt;
}

std::string checksum_of_file(const std::filesystem::path& path, Checksum::Kind kind) {
  Checksum checksum(kind, std::filesystem::file_size(path));
  checksum.update_from_file(path);
  return checksum.hex();
}

}  // namespace sdtune
