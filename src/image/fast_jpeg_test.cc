#include "image/fast_jpeg.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <random>
#include <vips/vips8>

#include "base/error.h"
#include "base/files.h"
#include "image/area_resize.h"
#include "image/decode.h"
#include "image/resize.h"
#include "image/test_pictures.h"
#include "image/test_vips.h"

namespace sdtune {
namespace {

using vips::VImage;

std::string jpeg_bytes(const VImage& image, vips::VOption* options = nullptr) {
  VipsBlob* blob = image.jpegsave_buffer(options);
  size_t length = 0;
  const void* data = vips_blob_get(blob, &length);
  std::string bytes(static_cast<const char*>(data), length);
  vips_area_unref(VIPS_AREA(blob));
  return bytes;
}

// Colours without hard edges, as photographs have them.
Image soft_picture(int width, int height) { return resize(test_noise(20, 15, 1), width, height); }

double mean_difference(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(int{a.rgb[i]} - int{b.rgb[i]});
  return sum / static_cast<double>(a.rgb.size());
}

TEST(FastJpeg, WholeSizeEqualsLibvips) {
  TestFolder folder;
  const VImage picture = vips_picture(test_picture(203, 157));
  VImage grey = picture.colourspace(VIPS_INTERPRETATION_B_W);
  const std::string files[] = {jpeg_bytes(picture), jpeg_bytes(grey),
                               jpeg_bytes(picture, VImage::option()->set("Q", 98)),
                               jpeg_bytes(picture, VImage::option()->set("interlace", true)),
                               jpeg_bytes(picture, VImage::option()->set("optimize_coding", true))};
  for (const std::string& bytes : files) {
    folder.write("a.jpg", bytes);
    const std::optional<Image> image = decode_plain_jpeg(bytes, 1);
    ASSERT_TRUE(image);
    EXPECT_EQ(image->size(), (Size{203, 157}));
    EXPECT_EQ(image->rgb, decode_image(folder / "a.jpg").rgb);
  }
}

TEST(FastJpeg, ShrinksCloseToAFullDecode) {
  const VImage picture = vips_picture(soft_picture(400, 296));
  for (const bool progressive : {false, true}) {
    const std::string bytes =
        jpeg_bytes(picture, VImage::option()->set("interlace", progressive)->set("Q", 90));
    const Image whole = *decode_plain_jpeg(bytes, 1);
    for (const int shrink : {2, 4, 8}) {
      const std::optional<Image> image = decode_plain_jpeg(bytes, shrink);
      ASSERT_TRUE(image);
      ASSERT_EQ(image->size(), (Size{400 / shrink, 296 / shrink}));
      EXPECT_LE(mean_difference(*image, resize(whole, image->width, image->height)), 1) << shrink;
    }
  }
}

TEST(FastJpeg, LastPartOfAPixelCounts) {
  const std::string bytes = jpeg_bytes(vips_picture(test_picture(17, 9)));
  EXPECT_EQ(decode_plain_jpeg(bytes, 2)->size(), (Size{9, 5}));
  EXPECT_EQ(decode_plain_jpeg(bytes, 8)->size(), (Size{3, 2}));
}

TEST(FastJpeg, LeavesOthersToLibvips) {
  const VImage picture = vips_picture(test_picture(40, 24));
  EXPECT_FALSE(decode_plain_jpeg(jpeg_bytes(picture.icc_transform("cmyk")), 2));
  EXPECT_FALSE(decode_plain_jpeg("", 2));
  EXPECT_FALSE(decode_plain_jpeg("\xff\xd8\xff", 2));
  EXPECT_FALSE(decode_plain_jpeg("this is a text, no picture", 2));
}

TEST(FastJpeg, ScansWithoutEndAreLeftToLibvips) {
  const std::string bytes =
      jpeg_bytes(vips_picture(test_picture(64, 64)), VImage::option()->set("interlace", true));
  ASSERT_TRUE(decode_plain_jpeg(bytes, 1));
  const size_t last_scan = bytes.rfind("\xff\xda"), end = bytes.size() - 2;
  std::string many = bytes.substr(0, end);
  for (int i = 0; i < 200; ++i) many += bytes.substr(last_scan, end - last_scan);
  EXPECT_FALSE(decode_plain_jpeg(many + "\xff\xd9", 1));
}

TEST(FastJpeg, CutAnywhereIsNoPicture) {
  for (const bool progressive : {false, true}) {
    const std::string bytes = jpeg_bytes(vips_picture(test_picture(120, 90)),
                                         VImage::option()->set("interlace", progressive));
    ASSERT_TRUE(decode_plain_jpeg(bytes, 2));
    for (size_t length = 0; length + 2 < bytes.size(); length += 13) {
      EXPECT_FALSE(decode_plain_jpeg(bytes.substr(0, length), 2)) << length;
    }
  }
}

TEST(FastJpeg, DamageGivesWhatDecodingInFullGives) {
  TestFolder folder;
  const std::string bytes = jpeg_bytes(vips_picture(soft_picture(200, 150)));
  folder.write("cut.jpg", bytes.substr(0, bytes.size() / 2));
  std::string whole_says, fast_says;
  try {
    decode_image(folder / "cut.jpg");
  } catch (const Error& error) {
    whole_says = error.what();
  }
  try {
    decode_image(folder / "cut.jpg", {.at_least = {50, 37}});
  } catch (const Error& error) {
    fast_says = error.what();
    EXPECT_EQ(error.where(), (folder / "cut.jpg").string());
  }
  EXPECT_FALSE(whole_says.empty());
  EXPECT_EQ(fast_says, whole_says);
}

// Whatever a byte is changed to, the answer is a picture of the header's size or nothing, and
// decode_image says no more than Error.
TEST(FastJpeg, MutatedBytesDoNoHarm) {
  TestFolder folder;
  std::mt19937 random(7);
  int refused = 0;
  for (const bool progressive : {false, true}) {
    const std::string good = jpeg_bytes(vips_picture(test_picture(57, 43)),
                                        VImage::option()->set("interlace", progressive));
    for (int round = 0; round < 600; ++round) {
      std::string bytes = good;
      for (int i = 0; i < 1 + round % 4; ++i) {
        // Every other change falls on the header, where there is more to break.
        const size_t reach = i % 2 == 0 ? std::min<size_t>(bytes.size(), 650) : bytes.size();
        bytes[random() % reach] = static_cast<char>(random());
      }
      folder.write("a.jpg", bytes);
      try {
        const Image image = decode_image(folder / "a.jpg", {.at_least = {20, 15}});
        EXPECT_EQ(image.rgb.size(), size_t{3} * image.width * image.height);
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 60);
}

TEST(FastJpeg, OrientationsEqualThoseOfAFullDecode) {
  TestFolder folder;
  VImage picture = vips_picture(soft_picture(160, 96));
  for (int orientation = 1; orientation <= 8; ++orientation) {
    picture.set("orientation", orientation);
    folder.write("a.jpg", jpeg_bytes(picture, VImage::option()->set("Q", 95)));
    const Image whole = decode_image(folder / "a.jpg");
    const Image fast = decode_image(folder / "a.jpg", {.at_least = {30, 30}});
    ASSERT_EQ(fast.size(), (Size{whole.width / 2, whole.height / 2})) << orientation;
    EXPECT_LE(mean_difference(fast, resize(whole, fast.width, fast.height)), 1) << orientation;
  }
}

// Sizes that shrink by parts, by whole factors, by two (OpenCV's own) and not at all.
TEST(FastJpeg, ResizedWhileDecodedEqualsResizedAfterwards) {
  const std::string bytes = jpeg_bytes(vips_picture(soft_picture(200, 148)));
  for (const int shrink : {1, 2, 4}) {
    const Image stored = *decode_plain_jpeg(bytes, shrink);
    for (const Size to : {Size{37, 29}, {50, 37}, {100, 74}, {20, 37}, {200, 100}, {1, 1}}) {
      const Image at_once = *decode_plain_jpeg(bytes, shrink, to);
      const bool by_rows = shrinks_by_rows(stored.size(), to);
      ASSERT_EQ(at_once.size(), by_rows ? to : stored.size());
      EXPECT_EQ(resize(at_once, to.width, to.height, Interpolation::kArea).rgb,
                resize(stored, to.width, to.height, Interpolation::kArea).rgb)
          << shrink << " " << to.width;
    }
  }
}

TEST(FastJpeg, DamageIsSeenWhileResizing) {
  const std::string bytes = jpeg_bytes(vips_picture(soft_picture(200, 148)));
  ASSERT_TRUE(decode_plain_jpeg(bytes, 1, {37, 29}));
  for (size_t length = 0; length + 2 < bytes.size(); length += 13) {
    EXPECT_FALSE(decode_plain_jpeg(bytes.substr(0, length), 1, {37, 29})) << length;
  }
}

TEST(FastJpeg, OnlyTheUprightPictureOfTheToldSizeIsResized) {
  TestFolder folder;
  VImage picture = vips_picture(soft_picture(160, 96));
  const AreaResize told{{160, 96}, {50, 30}};
  const auto decoded = [&](int orientation, const AreaResize& then) {
    picture.set("orientation", orientation);
    folder.write("a.jpg", jpeg_bytes(picture));
    return decode_image(folder / "a.jpg", {.then = then}).size();
  };
  EXPECT_EQ(decoded(1, told), (Size{50, 30}));
  EXPECT_EQ(decoded(1, {{161, 96}, {50, 30}}), (Size{160, 96}));
  EXPECT_EQ(decoded(2, told), (Size{160, 96}));
  EXPECT_EQ(decoded(6, {{96, 160}, {30, 50}}), (Size{96, 160}));
}

TEST(FastJpeg, ProfileIsAppliedAsInAFullDecode) {
  TestFolder folder;
  // Display P3 is one of the profiles that libvips brings along.
  const VImage wide = vips_picture(soft_picture(160, 96))
                          .icc_transform("p3", VImage::option()->set("input_profile", "srgb"));
  folder.write("a.jpg", jpeg_bytes(wide, VImage::option()->set("Q", 95)));
  const Image whole = decode_image(folder / "a.jpg");
  const Image fast = decode_image(folder / "a.jpg", {.at_least = {80, 48}});
  ASSERT_EQ(fast.size(), (Size{80, 48}));
  EXPECT_LE(mean_difference(fast, resize(whole, 80, 48)), 1);
  EXPECT_GT(mean_difference(*decode_plain_jpeg(read_file(folder / "a.jpg"), 2), fast), 2);
}

}  // namespace
}  // namespace sdtune
