#include "hub/checksum.h"

#include <gtest/gtest.h>

#include <string_view>

#include "base/files.h"

namespace sdtune {
namespace {

std::string of(Checksum::Kind kind, std::string_view text) {
  Checksum checksum(kind, text.size());
  checksum.update(std::as_bytes(std::span(text)));
  return checksum.hex();
}

TEST(Checksum, KnownValues) {
  // FIPS 180-4's example, and `printf abc | git hash-object --stdin`.
  EXPECT_EQ(of(Checksum::Kind::kSha256, "abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(of(Checksum::Kind::kGitBlob, "abc"), "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f");
  EXPECT_EQ(of(Checksum::Kind::kGitBlob, ""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
}

TEST(Checksum, OfAFile) {
  const fs::path path = temporary_name(fs::path(testing::TempDir()) / "checksum");
  write_file(path, "abc");
  EXPECT_EQ(checksum_of_file(path, Checksum::Kind::kGitBlob),
            "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f");
  fs::remove(path);
}

TEST(Checksum, KindByItsDigits) {
  EXPECT_EQ(checksum_kind(std::string(64, 'a')), Checksum::Kind::kSha256);
  EXPECT_EQ(checksum_kind(std::string(40, '0')), Checksum::Kind::kGitBlob);
  EXPECT_FALSE(checksum_kind(std::string(64, 'x')));
  EXPECT_FALSE(checksum_kind("9b2cf535f27731c974343645a3985328-12"));
}

}  // namespace
}  // namespace sdtune
