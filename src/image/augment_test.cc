// The numbers of shift_hue and apply_gamma are compared with numpy's in tests/image.
#include "image/augment.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <algorithm>

#include "base/error.h"
#include "image/resize.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

Random stream(uint64_t index) { return Random(1, Draw::kAugment, 0, index); }

TEST(ColourChange, IsDrawnAsOftenAndAsFarAsPromised) {
  int hues = 0, gammas = 0;
  double widest_hue = 0, lowest_gamma = 1, highest_gamma = 1;
  for (uint64_t i = 0; i < 20000; ++i) {
    Random random = stream(i);
    const ColourChange change = draw_colour_change(random);
    hues += change.hue_degrees != 0;
    gammas += change.gamma != 1;
    EXPECT_TRUE(change.hue_degrees == 0 || change.gamma == 1);
    widest_hue = std::max(widest_hue, std::abs(change.hue_degrees));
    lowest_gamma = std::min(lowest_gamma, change.gamma);
    highest_gamma = std::max(highest_gamma, change.gamma);
  }
  EXPECT_NEAR(hues, 3300, 200);
  EXPECT_NEAR(gammas, 3300, 200);
  EXPECT_NEAR(widest_hue, 16, 0.1);
  EXPECT_NEAR(lowest_gamma, 0.95, 0.001);
  EXPECT_NEAR(highest_gamma, 1.05, 0.001);
}

TEST(ColourChange, AlwaysTakesThreeDraws) {
  for (uint64_t i = 0; i < 20; ++i) {
    Random random = stream(i), counted = stream(i);
    draw_colour_change(random);
    for (int k = 0; k < 3; ++k) counted.uniform();
    EXPECT_EQ(random.next(), counted.next());
  }
}

TEST(ShiftHue, TurnsRedTowardsYellow) {
  Image image(3, 1);
  image.rgb = {200, 0, 0, 90, 90, 90, 100, 40, 60};
  shift_hue(image, 30);
  EXPECT_EQ(image.rgb, (std::vector<uint8_t>{200, 100, 0, 90, 90, 90, 100, 50, 40}));
  shift_hue(image, -30);
  EXPECT_EQ(image.rgb, (std::vector<uint8_t>{200, 0, 0, 90, 90, 90, 100, 40, 60}));
}

TEST(ShiftHue, ThirdsOfTheCircleMoveTheChannels) {
  const Image noise = test_noise(50, 40, 1);
  Image turned = noise;
  shift_hue(turned, 120);
  for (size_t i = 0; i < noise.rgb.size(); i += 3) {
    ASSERT_EQ(turned.rgb[i + 1], noise.rgb[i]);
    ASSERT_EQ(turned.rgb[i + 2], noise.rgb[i + 1]);
    ASSERT_EQ(turned.rgb[i], noise.rgb[i + 2]);
  }
}

RC_GTEST_PROP(ShiftHue, KeepsTheLargestAndTheSmallestChannel, ()) {
  const Image noise = test_noise(8, 8, *rc::gen::arbitrary<uint32_t>());
  Image turned = noise;
  shift_hue(turned, *rc::gen::inRange(-3600, 3600) / 10.0);
  for (size_t i = 0; i < noise.rgb.size(); i += 3) {
    const auto before = std::minmax({noise.rgb[i], noise.rgb[i + 1], noise.rgb[i + 2]});
    const auto after = std::minmax({turned.rgb[i], turned.rgb[i + 1], turned.rgb[i + 2]});
    RC_ASSERT(before == after);
  }
}

TEST(Gamma, OneChangesNothingAndTheEndsHold) {
  Image image = test_noise(20, 20, 1);
  const Image before = image;
  apply_gamma(image, 1);
  EXPECT_EQ(image.rgb, before.rgb);
  image.rgb[0] = 0, image.rgb[1] = 1, image.rgb[2] = 255;
  apply_gamma(image, 1.05);
  EXPECT_EQ(image.rgb[0], 0);
  EXPECT_EQ(image.rgb[1], 1);
  EXPECT_EQ(image.rgb[2], 255);
}

TEST(AugmentColour, DependsOnTheDrawsAloneAndLeavesAlpha) {
  int changed = 0;
  for (uint64_t i = 0; i < 30; ++i) {
    Image first = test_noise(9, 7, 1);
    first.alpha.assign(63, 77);
    const Image before = first;
    Image second = first;
    Random a = stream(i), b = stream(i);
    augment_colour(first, a);
    augment_colour(second, b);
    EXPECT_EQ(first.rgb, second.rgb);
    EXPECT_EQ(first.alpha, before.alpha);
    changed += first.rgb != before.rgb;
  }
  EXPECT_GT(changed, 2);
  EXPECT_LT(changed, 20);
}

TEST(FaceOfStem, ReadsTheLastFourParts) {
  const auto face = face_of_stem("a_b_120_80_64_48");
  ASSERT_TRUE(face);
  EXPECT_EQ(face->centre_x, 120);
  EXPECT_EQ(face->centre_y, 80);
  EXPECT_EQ(face->width, 64);
  EXPECT_EQ(face->height, 48);
  EXPECT_TRUE(face_of_stem("_1_2_3_4"));
  for (const char* stem : {"", "picture", "1_2_3_4", "a_1_2_3", "a_1_2_3_x", "a_1_2__4",
                           "a_1_2_0_9", "a_1_-2_3_4", "a_1_2_3_4.5", "a_1_2_3_99999999999"}) {
    EXPECT_FALSE(face_of_stem(stem)) << stem;
  }
}

const Face kFace{600, 300, 100, 120};

TEST(FaceCrop, FixedScaleCentresTheFace) {
  Random random = stream(0);
  // The crop is to be 3 faces high: 3 x 120 source pixels become 256.
  const FaceCrop crop = draw_face_crop({1000, 800}, kFace, {{256, 256}, 3, 3}, random);
  EXPECT_EQ(crop.resized, (Size{711, 569}));
  EXPECT_EQ(crop.x, 427 - 128);
  EXPECT_EQ(crop.y, 213 - 128);
}

TEST(FaceCrop, StaysInsideAndIsNeverEnlarged) {
  Random random = stream(0);
  const FaceCrop corner = draw_face_crop({1000, 800}, {990, 5, 30, 30}, {{256, 256}, 1, 1}, random);
  EXPECT_EQ(corner.resized, (Size{1000, 800}));
  EXPECT_EQ(corner.x, 1000 - 256);
  EXPECT_EQ(corner.y, 0);
}

TEST(FaceCrop, TheWholeTargetIsCovered) {
  Random random = stream(0);
  // 100 faces would need more picture than there is: the height decides.
  const FaceCrop crop = draw_face_crop({1000, 800}, kFace, {{256, 256}, 100, 100}, random);
  EXPECT_EQ(crop.resized, (Size{320, 256}));
  EXPECT_EQ(crop.y, 0);
}

TEST(FaceCrop, ScaleRunsOverTheRange) {
  int narrowest = 1 << 20, widest = 0;
  for (uint64_t i = 0; i < 2000; ++i) {
    Random random = stream(i);
    const FaceCrop crop = draw_face_crop({1000, 800}, kFace, {{256, 256}, 2.5, 5}, random);
    narrowest = std::min(narrowest, crop.resized.width);
    widest = std::max(widest, crop.resized.width);
  }
  EXPECT_NEAR(narrowest, 1000 * 256 / (120 * 5.0), 2);
  EXPECT_NEAR(widest, 1000 * 256 / (120 * 2.5), 2);
}

TEST(FaceCrop, MovesALargeFaceByATwentieth) {
  int lowest = 1 << 20, highest = 0;
  for (uint64_t i = 0; i < 500; ++i) {
    Random random = stream(i);
    // Both ends of the range ask for more than the picture has, so that the scale is 1.
    const FaceCrop crop = draw_face_crop({1000, 800}, kFace, {{256, 256}, 1, 2}, random);
    ASSERT_EQ(crop.resized, (Size{1000, 800}));
    lowest = std::min(lowest, crop.x);
    highest = std::max(highest, crop.x);
  }
  EXPECT_EQ(lowest, 600 - 128 - 6);
  EXPECT_EQ(highest, 600 - 128 + 6);
}

TEST(FaceCrop, RandomCropPrefersTheFace) {
  int near = 0, far = 0;
  for (uint64_t i = 0; i < 2000; ++i) {
    Random random = stream(i);
    const FaceCrop crop =
        draw_face_crop({2000, 800}, {1000, 400, 60, 60}, {{256, 256}, 1, 1, true}, random);
    near += std::abs(crop.x - (1000 - 128)) < 100;
    far += std::abs(crop.x - (1000 - 128)) > 700;
  }
  EXPECT_NEAR(near, 380, 60);  // 1 - 0.9^2
  EXPECT_NEAR(far, 180, 50);   // 0.3^2
}

RC_GTEST_PROP(FaceCrop, AlwaysLiesInside, ()) {
  const Size target{*rc::gen::inRange(1, 300), *rc::gen::inRange(1, 300)};
  const Size picture{target.width + *rc::gen::inRange(0, 500),
                     target.height + *rc::gen::inRange(0, 500)};
  const Face face{*rc::gen::inRange(0, picture.width + 1), *rc::gen::inRange(0, picture.height + 1),
                  *rc::gen::inRange(1, 400), *rc::gen::inRange(1, 400)};
  FaceCropOptions options{target, *rc::gen::inRange(1, 50) / 10.0, 0, *rc::gen::arbitrary<bool>()};
  options.high = options.low + *rc::gen::inRange(0, 50) / 10.0;
  Random random = stream(*rc::gen::inRange(0, 1000));
  const FaceCrop crop = draw_face_crop(picture, face, options, random);
  RC_ASSERT(crop.resized.width <= picture.width);
  RC_ASSERT(crop.resized.height <= picture.height);
  RC_ASSERT(crop.x >= 0 && crop.x + target.width <= crop.resized.width);
  RC_ASSERT(crop.y >= 0 && crop.y + target.height <= crop.resized.height);
}

TEST(FaceCrop, PixelsAreThoseOfTheGeometry) {
  const Image picture = test_picture(300, 200);
  const FaceCropOptions options{{64, 48}, 2, 4};
  Random a = stream(3), b = stream(3);
  const FaceCrop part = draw_face_crop(picture.size(), {150, 100, 40, 40}, options, a);
  const Image expected =
      crop(resize(picture, part.resized.width, part.resized.height), part.x, part.y, 64, 48);
  EXPECT_EQ(crop_to_face(picture, {150, 100, 40, 40}, options, b).rgb, expected.rgb);
}

TEST(FaceCrop, NonsenseIsRefused) {
  Random random = stream(0);
  EXPECT_THROW(draw_face_crop({200, 800}, kFace, {{256, 256}}, random), Error);
  EXPECT_THROW(draw_face_crop({1000, 800}, kFace, {{256, 256}, 0, 1}, random), Error);
  EXPECT_THROW(draw_face_crop({1000, 800}, kFace, {{256, 256}, 3, 2}, random), Error);
  EXPECT_THROW(draw_face_crop({1000, 800}, {1001, 5, 9, 9}, {{256, 256}}, random), Error);
  EXPECT_THROW(draw_face_crop({1000, 800}, {5, 5, 0, 9}, {{256, 256}}, random), Error);
}

}  // namespace
}  // namespace sdtune
