#include "image/resize.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include <rapidcheck/gtest.h>

#include "base/error.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

TEST(Resize, AreaHalvesByTheMeanOfFourPixels) {
  Image image(4, 2);
  for (size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<uint8_t>(i * 10);
  const Image half = resize(image, 2, 1);
  // Red: (0 + 30 + 120 + 150) / 4 and (60 + 90 + 180 + 210) / 4.
  EXPECT_EQ(half.rgb, (std::vector<uint8_t>{75, 85, 95, 135, 145, 155}));
}

TEST(Resize, SameSizeIsUntouched) {
  const Image image = test_picture(13, 9);
  EXPECT_EQ(resize(image, 13, 9, Interpolation::kLanczos).rgb, image.rgb);
}

TEST(Resize, DefaultIsAreaUnlessASideGrows) {
  const Image image = test_picture(40, 30);
  EXPECT_EQ(resize(image, 40, 20).rgb, resize(image, 40, 20, Interpolation::kArea).rgb);
  EXPECT_EQ(resize(image, 41, 20).rgb, resize(image, 41, 20, Interpolation::kLanczos).rgb);
  EXPECT_NE(resize(image, 20, 15, Interpolation::kArea).rgb,
            resize(image, 20, 15, Interpolation::kLanczos).rgb);
}

RC_GTEST_PROP(Resize, OneColourStaysOneColour, ()) {
  Image image(*rc::gen::inRange(1, 60), *rc::gen::inRange(1, 60));
  const auto grey = static_cast<uint8_t>(*rc::gen::inRange(0, 256));
  std::fill(image.rgb.begin(), image.rgb.end(), grey);
  const int width = *rc::gen::inRange(1, 90), height = *rc::gen::inRange(1, 90);
  const auto how =
      *rc::gen::element(Interpolation::kDefault, Interpolation::kArea, Interpolation::kLanczos,
                        Interpolation::kNearest, Interpolation::kBilinear, Interpolation::kBicubic,
                        Interpolation::kBox);
  const Image out = resize(image, width, height, how);
  RC_ASSERT(out.size() == (Size{width, height}));
  RC_ASSERT(out.rgb == std::vector<uint8_t>(out.rgb.size(), grey));
}

TEST(Resize, NonsenseSizesAreRefused) {
  EXPECT_THROW(resize(test_picture(4, 4), 0, 4), Error);
  EXPECT_THROW(resize(Image(), 4, 4), Error);
}

TEST(Crop, TakesThePart) {
  const Image image = test_picture(10, 8);
  const Image part = crop(image, 3, 2, 4, 5);
  EXPECT_EQ(part.size(), (Size{4, 5}));
  EXPECT_EQ(part.rgb[0], image.rgb[3 * (2 * 10 + 3)]);
  EXPECT_EQ(part.rgb.back(), image.rgb[3 * (6 * 10 + 6) + 2]);
  EXPECT_THROW(crop(image, 7, 0, 4, 8), Error);
  EXPECT_THROW(crop(image, -1, 0, 4, 4), Error);
}

// A picture whose alpha is its red: whatever is done to both must keep it so.
Image with_red_as_alpha(Image image) {
  for (size_t i = 0; i < image.rgb.size(); i += 3) image.alpha.push_back(image.rgb[i]);
  return image;
}

RC_GTEST_PROP(Alpha, GoesWithTheColours, ()) {
  const Image image = with_red_as_alpha(test_picture(41, 30));
  const int width = *rc::gen::inRange(1, 90), height = *rc::gen::inRange(1, 90);
  const auto how =
      *rc::gen::element(Interpolation::kDefault, Interpolation::kArea, Interpolation::kLanczos,
                        Interpolation::kNearest, Interpolation::kBicubic, Interpolation::kBox);
  const Image resized = resize(image, width, height, how);
  RC_ASSERT(resized.alpha.size() == size_t{1} * width * height);
  // OpenCV's bicubic rounds the last values of a row, which no vector holds, by integers and the
  // others by floats; which ones they are depends on the number of channels.
  const int tolerance = how == Interpolation::kBicubic ? 1 : 0;
  for (size_t i = 0; i < resized.alpha.size(); ++i)
    RC_ASSERT(std::abs(resized.alpha[i] - resized.rgb[3 * i]) <= tolerance);
}

TEST(Alpha, IsCroppedAndMirroredWithTheColours) {
  const Image image = with_red_as_alpha(test_picture(10, 8));
  for (const Image& changed : {crop(image, 3, 2, 4, 5), mirrored(image)}) {
    ASSERT_EQ(changed.alpha.size() * 3, changed.rgb.size());
    for (size_t i = 0; i < changed.alpha.size(); ++i) {
      EXPECT_EQ(changed.alpha[i], changed.rgb[3 * i]);
    }
  }
}

TEST(Mirrored, ExchangesLeftAndRight) {
  Image image(2, 2);
  image.rgb = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  EXPECT_EQ(mirrored(image).rgb, (std::vector<uint8_t>{4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9}));
  EXPECT_TRUE(mirrored(image).alpha.empty());
  const Image picture = test_picture(13, 9);
  EXPECT_EQ(mirrored(mirrored(picture)).rgb, picture.rgb);
}

TEST(Mask, RunsFromZeroToOne) {
  Image image(2, 1);
  std::vector<float> mask(2);
  to_mask(image, mask.data());
  EXPECT_EQ(mask, (std::vector<float>{1, 1}));
  image.alpha = {0, 51};
  to_mask(image, mask.data());
  EXPECT_EQ(mask, (std::vector<float>{0, 0.2f}));
}

TEST(Planes, RunFromMinusOneToOne) {
  Image image(2, 1);
  image.rgb = {0, 255, 51, 255, 0, 102};
  std::vector<float> planes(6);
  to_planes(image, planes.data());
  EXPECT_EQ(planes, (std::vector<float>{-1, 1, 1, -1, (51 / 255.0f - 0.5f) / 0.5f,
                                        (102 / 255.0f - 0.5f) / 0.5f}));
}

}  // namespace
}  // namespace sdtune
