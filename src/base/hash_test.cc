#include "base/hash.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <rapidcheck/gtest.h>

#include "base/error.h"
#include "base/files.h"

namespace sdtune {
namespace {

// XXH3-128 with seed 0, as xxhsum -H2 and Python's xxhash print it.
TEST(Hash, GivesTheDigestsOfTheSpecification) {
  EXPECT_EQ(hash_hex(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hash_hex("a"), "a96faf705af16834e6c632b61e964e1f");
  EXPECT_EQ(hash_hex("abc"), "06b05ab6733a618578af5f94892f3950");
}

RC_GTEST_PROP(Hash, DoesNotDependOnThePieces, (const std::string& text, uint8_t cut)) {
  const size_t at = std::min<size_t>(cut, text.size());
  Hasher hasher;
  hasher.update(std::string_view(text).substr(0, at));
  hasher.update(std::string_view(text).substr(at));
  RC_ASSERT(hasher.hex() == hash_hex(text));
}

TEST(Hash, OneChangedBitChangesTheDigest) {
  std::string text(5000, 'x');
  const std::string before = hash_hex(text);
  for (const size_t at : {0, 1, 239, 240, 4095, 4999}) {
    std::string changed = text;
    changed[at] ^= 1;
    EXPECT_NE(hash_hex(changed), before) << "byte " << at;
  }
}

TEST(Hash, OfAFileIsTheHashOfItsBytes) {
  const fs::path path = fs::temp_directory_path() / fmt::format("sdtune-hash-{}", ::getpid());
  // Longer than the piece it is read in, and no multiple of it.
  std::string text((3 << 20) + 17, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 2654435761u >> 13);
  write_file(path, text);
  EXPECT_EQ(hash_file(path), hash_hex(text));
  write_file(path, "");
  EXPECT_EQ(hash_file(path), hash_hex(""));
  fs::remove(path);
  EXPECT_THROW(hash_file(path), Error);
}

}  // namespace
}  // namespace sdtune
