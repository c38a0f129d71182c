#include "image/encode.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "image/decode.h"
#include "image/picture_facts.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

double mean_difference(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(int{a.rgb[i]} - int{b.rgb[i]});
  return sum / static_cast<double>(a.rgb.size());
}

TEST(EncodeJpeg, ComesBackNearlyAsWritten) {
  TestFolder folder;
  const Image picture = test_picture(120, 90);
  write_jpeg(folder / "a.jpg", picture);
  const Image read = decode_image(folder / "a.jpg");
  ASSERT_EQ(read.size(), picture.size());
  EXPECT_LT(mean_difference(read, picture), 4.0);
  EXPECT_EQ(picture_facts(folder / "a.jpg").format, "JPEG");
}

TEST(EncodeJpeg, QualityTradesSizeForLikeness) {
  TestFolder folder;
  const Image picture = test_picture(120, 90);
  write_jpeg(folder / "low.jpg", picture, 30);
  write_jpeg(folder / "high.jpg", picture, 98);
  EXPECT_LT(fs::file_size(folder / "low.jpg") * 2, fs::file_size(folder / "high.jpg"));
  EXPECT_GT(mean_difference(decode_image(folder / "low.jpg"), picture),
            2 * mean_difference(decode_image(folder / "high.jpg"), picture));
}

TEST(EncodeJpeg, NonsenseIsRefused) {
  EXPECT_THROW(encode_jpeg(test_picture(4, 4), 0), Error);
  EXPECT_THROW(encode_jpeg(test_picture(4, 4), 101), Error);
  EXPECT_THROW(encode_jpeg(Image()), Error);
  EXPECT_THROW(encode_jpeg(Image(65536, 1)), Error);
}

}  // namespace
}  // namespace sdtune
