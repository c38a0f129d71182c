#include "annotate/tag_pixels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "image/test_pictures.h"

namespace sdtune {
namespace {

using testing::ElementsAre;

Image grey(int width, int height, std::vector<uint8_t> values) {
  Image image(width, height);
  for (size_t i = 0; i < values.size(); ++i) {
    for (size_t c = 0; c < 3; ++c) image.rgb[3 * i + c] = values[i];
  }
  return image;
}

std::vector<int> row(const Image& image, int y) {
  std::vector<int> values;
  for (int x = 0; x < image.width; ++x) {
    values.push_back(image.rgb[size_t{3} * (size_t{1} * y * image.width + x)]);
  }
  return values;
}

TEST(TagPixels, TheOddWhitePixelIsRightAndBelow) {
  const Image wide = white_square(grey(4, 1, {1, 2, 3, 4}), 4);
  EXPECT_THAT(row(wide, 0), ElementsAre(255, 255, 255, 255));
  EXPECT_THAT(row(wide, 1), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(row(wide, 2), ElementsAre(255, 255, 255, 255));
  const Image tall = white_square(grey(1, 4, {1, 2, 3, 4}), 4);
  EXPECT_THAT(row(tall, 3), ElementsAre(255, 4, 255, 255));
}

TEST(TagPixels, APictureShrinksByArea) {
  const Image small = white_square(grey(4, 4, {0, 2, 8, 8, 4, 6, 8, 8, 1, 1, 9, 9, 1, 1, 9, 9}), 2);
  EXPECT_THAT(row(small, 0), ElementsAre(3, 8));
  EXPECT_THAT(row(small, 1), ElementsAre(1, 9));
}

TEST(TagPixels, AThinPictureFitsIntoMemory) {
  const Image square = white_square(Image(60000, 2), 8);
  EXPECT_EQ(square.size(), (Size{8, 8}));
  EXPECT_THAT(row(square, 0), testing::Each(255));
  EXPECT_THAT(row(square, 4), testing::Each(testing::AllOf(testing::Ge(253), testing::Le(255))));
}

TEST(TagPixels, EdgesAreRepeated) {
  const Image wide = edge_square(grey(4, 2, {1, 2, 3, 4, 5, 6, 7, 8}), 4);
  EXPECT_THAT(row(wide, 0), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(row(wide, 1), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(row(wide, 2), ElementsAre(5, 6, 7, 8));
  EXPECT_THAT(row(wide, 3), ElementsAre(5, 6, 7, 8));
}

TEST(TagPixels, HalfAPixelOffIsTheMean) {
  const Image tall = edge_square(grey(1, 4, {10, 20, 30, 40}), 4);
  EXPECT_THAT(row(tall, 2), ElementsAre(30, 30, 30, 30));
  const Image wide = edge_square(grey(4, 3, {0, 0, 0, 0, 10, 10, 10, 10, 30, 30, 30, 30}), 4);
  EXPECT_THAT(row(wide, 0), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(row(wide, 1), ElementsAre(5, 5, 5, 5));
  EXPECT_THAT(row(wide, 2), ElementsAre(20, 20, 20, 20));
  EXPECT_THAT(row(wide, 3), ElementsAre(30, 30, 30, 30));
}

TEST(TagPixels, ASmallPictureGrowsByArea) {
  const Image square = edge_square(grey(2, 2, {0, 91, 0, 91}), 3);
  EXPECT_THAT(row(square, 1), ElementsAre(0, 46, 91));
}

TEST(TagPixels, Orders) {
  Image image(2, 1);
  std::iota(image.rgb.begin(), image.rgb.end(), uint8_t{1});
  std::vector<float> out(6);
  to_tagger_numbers(image, {}, out.data());
  EXPECT_THAT(out, ElementsAre(3, 2, 1, 6, 5, 4));
  to_tagger_numbers(image, {.channels_last = false, .divisor = 2, .offset = -1}, out.data());
  EXPECT_THAT(out, ElementsAre(0.5f, 2, 0, 1.5f, -0.5f, 1));
  to_tagger_numbers(image, {.channels_last = true, .blue_first = false}, out.data());
  EXPECT_THAT(out, ElementsAre(1, 2, 3, 4, 5, 6));
}

}  // namespace
}  // namespace sdtune
