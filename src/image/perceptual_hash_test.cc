#include "image/perceptual_hash.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "image/decode.h"
#include "image/resize.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

// Large soft blotches, as photos have; another seed is another picture.
Image blotches(uint32_t seed) { return resize(test_noise(7, 6, seed), 640, 480); }

TEST(PerceptualHash, BitsSayWhichNeighbourIsBrighter) {
  Image ramp(9, 8);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 9; ++x) ramp.rgb[3 * (y * 9 + x) + 1] = static_cast<uint8_t>(20 * x);
  }
  EXPECT_EQ(perceptual_hash(ramp), ~uint64_t{0});
  EXPECT_EQ(perceptual_hash(mirrored(ramp)), 0u);
  ramp.rgb[1] = 255;  // the top left is now brighter than its neighbour
  EXPECT_EQ(perceptual_hash(ramp), ~uint64_t{0} >> 1);
  ramp.rgb[3 * (7 * 9 + 8) + 1] = 0;
  EXPECT_EQ(perceptual_hash(ramp), (~uint64_t{0} >> 1) - 1);
}

TEST(PerceptualHash, VersionsAreNearAndOthersFar) {
  TestFolder folder;
  const Image picture = blotches(1);
  const uint64_t hash = perceptual_hash(picture);
  write_jpeg(folder / "a.jpg", resize(picture, 211, 160), 60);
  EXPECT_LE(hash_distance(hash, perceptual_hash(decode_image(folder / "a.jpg"))), 4);
  for (uint32_t seed = 2; seed < 12; ++seed) {
    EXPECT_GT(hash_distance(hash, perceptual_hash(blotches(seed))), 12) << seed;
  }
}

TEST(PerceptualHash, TinyAndEmptyPictures) {
  Image dot(1, 1);
  EXPECT_EQ(perceptual_hash(dot), 0u);
  EXPECT_THROW(perceptual_hash(Image()), Error);
}

TEST(HashDistance, CountsBits) {
  EXPECT_EQ(hash_distance(0, 0), 0);
  EXPECT_EQ(hash_distance(0, ~uint64_t{0}), 64);
  EXPECT_EQ(hash_distance(0b1010, 0b0110), 2);
}

}  // namespace
}  // namespace sdtune
