#include "image/png_text.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "image/decode.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

const PngText kText = {
    {"prompt", "a cat (black:1.2)"}, {"negative-prompt", "größe, 猫"}, {"e", ""}};

TEST(PngText, ComesBack) {
  EXPECT_EQ(read_png_text(with_png_text(encode_png(test_picture(5, 4)), kText)), kText);
}

TEST(PngText, LeavesTheFileWhole) {
  const TestFolder folder;
  const std::vector<std::byte> plain = encode_png(test_picture(5, 4));
  const std::vector<std::byte> bytes = with_png_text(plain, kText);
  // libpng refuses a chunk whose checksum is wrong, and warns about a wrong order.
  folder.write("a.png", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  EXPECT_EQ(decode_image(folder / "a.png").rgb, test_picture(5, 4).rgb);
}

TEST(PngText, OfLatin1IsUtf8) {
  std::vector<std::byte> bytes = with_png_text(encode_png(test_picture(2, 2)), {{"k", "na?ve"}});
  *std::find(bytes.begin(), bytes.end(), std::byte{'?'}) = std::byte{0xef};
  EXPECT_EQ(read_png_text(bytes), (PngText{{"k", "naïve"}}));
}

TEST(PngText, OfCompressedChunksIsPassedOver) {
  std::vector<std::byte> bytes = with_png_text(encode_png(test_picture(2, 2)), {{"k", "ü"}});
  const std::string_view name("iTXtk\0", 6);
  const auto found = std::search(bytes.begin(), bytes.end(), name.begin(), name.end(),
                                 [](std::byte a, char b) { return a == std::byte(b); });
  ASSERT_NE(found, bytes.end());
  found[6] = std::byte{1};
  EXPECT_TRUE(read_png_text(bytes).empty());
}

TEST(PngText, OfDamagedFilesIsWhatStandsBefore) {
  const std::vector<std::byte> bytes = with_png_text(encode_png(test_picture(5, 4)), kText);
  size_t most = 0;
  for (size_t length = 0; length <= bytes.size(); ++length) {
    const PngText text = read_png_text({bytes.data(), length});
    EXPECT_GE(text.size(), most);
    most = text.size();
    EXPECT_TRUE(std::equal(text.begin(), text.end(), kText.begin()));
  }
  EXPECT_EQ(most, kText.size());
  EXPECT_TRUE(read_png_text({}).empty());
}

}  // namespace
}  // namespace sdtune
