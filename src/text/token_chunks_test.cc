#include "text/token_chunks.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace sdtune {
namespace {

constexpr int64_t kCat = 2368;

const ClipTokenizer& tokenizer() {
  static const ClipTokenizer instance;
  return instance;
}

std::string cats(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "cat ";
  return text;
}

std::vector<int64_t> chunks(std::string_view caption, TextFamily family, int max_token_length) {
  return token_chunks(tokenizer(), caption, family, max_token_length);
}

// One row: <|startoftext|>, `tokens` cats, then the given ids.
struct Tail {
  int ends = 0;
  int pads = 0;
};
std::vector<int64_t> row(int tokens, Tail tail) {
  std::vector<int64_t> ids = {kBos};
  ids.insert(ids.end(), tokens, kCat);
  ids.insert(ids.end(), tail.ends, kEos);
  ids.insert(ids.end(), tail.pads, 0);
  EXPECT_EQ(ids.size(), static_cast<size_t>(kChunkLength));
  return ids;
}

std::vector<int64_t> operator+(std::vector<int64_t> a, const std::vector<int64_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(TokenChunks, OneRow) {
  const auto ids = chunks("a photo of a cat", TextFamily::kV1, 75);
  const std::vector<int64_t> head(ids.begin(), ids.begin() + 8);
  EXPECT_EQ(head, (std::vector<int64_t>{kBos, 320, 1125, 539, 320, 2368, kEos, kEos}));
  EXPECT_EQ(chunks("cat", TextFamily::kV1, 75), row(1, {.ends = 75}));
  EXPECT_EQ(chunks("cat", TextFamily::kV2, 75), row(1, {.ends = 1, .pads = 74}));
  EXPECT_EQ(chunks(cats(90), TextFamily::kV2, 75), row(75, {.ends = 1}));
}

TEST(TokenChunks, EightyTokensAt150) {
  const auto first = row(75, {.ends = 1});
  EXPECT_EQ(chunks(cats(80), TextFamily::kV1, 150), first + row(5, {.ends = 71}));
  EXPECT_EQ(chunks(cats(80), TextFamily::kV2, 150), first + row(5, {.ends = 1, .pads = 70}));
}

TEST(TokenChunks, ExactlyOneFullRowAt150) {
  const auto first = row(75, {.ends = 1});
  EXPECT_EQ(chunks(cats(75), TextFamily::kV1, 150), first + row(0, {.ends = 76}));
  EXPECT_EQ(chunks(cats(75), TextFamily::kV2, 150), first + row(0, {.ends = 1, .pads = 75}));
}

TEST(TokenChunks, OneTokenShortOfAFullRow) {
  EXPECT_EQ(chunks(cats(74), TextFamily::kV2, 150),
            row(74, {.ends = 1, .pads = 1}) + row(0, {.ends = 1, .pads = 75}));
}

TEST(TokenChunks, EmptyCaptionAt225) {
  const auto v1 = row(0, {.ends = 76});
  const auto v2 = row(0, {.ends = 1, .pads = 75});
  EXPECT_EQ(chunks("", TextFamily::kV1, 225), v1 + v1 + v1);
  EXPECT_EQ(chunks("", TextFamily::kV2, 225), v2 + v2 + v2);
}

TEST(TokenChunks, CutsOffWhatIsTooLong) {
  const auto full = row(75, {.ends = 1});
  EXPECT_EQ(chunks(cats(1000), TextFamily::kV1, 225), full + full + full);
  EXPECT_EQ(chunks(cats(1000), TextFamily::kV2, 225), full + full + full);
}

TEST(TokenChunks, TakesIdsAsWell) {
  EXPECT_EQ(token_chunks({kCat, kCat}, TextFamily::kV2, 75), row(2, {.ends = 1, .pads = 73}));
}

TEST(CountTokens, CountsWhatChunksCutOff) {
  EXPECT_EQ(count_tokens(tokenizer(), ""), 0);
  EXPECT_EQ(count_tokens(tokenizer(), "a photo of a cat"), 5);
  EXPECT_EQ(count_tokens(tokenizer(), cats(1000)), 1000);
}

TEST(TokenChunks, RefusesOtherLengths) {
  for (const int length : {0, -75, 76, 77, 300}) {
    EXPECT_THROW(chunks("cat", TextFamily::kV1, length), UsageError) << length;
  }
}

}  // namespace
}  // namespace sdtune
