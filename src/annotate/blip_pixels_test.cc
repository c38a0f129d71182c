#include "annotate/blip_pixels.h"

#include <gtest/gtest.h>

#include "image/test_pictures.h"

namespace sdtune {
namespace {

TEST(BlipPixels, ASquareWhateverTheProportions) {
  EXPECT_EQ(blip_square(test_picture(40, 10), 16).size(), (Size{16, 16}));
  EXPECT_EQ(blip_square(test_picture(5, 90), 16).size(), (Size{16, 16}));
}

TEST(BlipPixels, EachColourInItsOwnUnits) {
  Image image(2, 1);
  image.rgb = {255, 0, 0, 0, 0, 255};
  float planes[6];
  to_blip_planes(image, planes);
  EXPECT_NEAR(planes[0], 1.930337, 1e-5);   // red of the first
  EXPECT_NEAR(planes[1], -1.792263, 1e-5);  // of the second
  EXPECT_NEAR(planes[2], -1.752097, 1e-5);  // no green
  EXPECT_NEAR(planes[5], 2.145897, 1e-5);   // blue of the second
}

}  // namespace
}  // namespace sdtune
