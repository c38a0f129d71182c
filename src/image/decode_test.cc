#include "image/decode.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>
#include <vips/vips8>

#include "base/error.h"
#include "base/files.h"
#include "image/resize.h"
#include "image/test_pictures.h"
#include "image/test_vips.h"

namespace sdtune {
namespace {

using vips::VImage;

// The message of the Error that `call` throws, "" when it throws none.
template <class F>
std::string error_of(F call) {
  try {
    call();
  } catch (const Error& error) {
    return std::string(error.what()) + " @ " + error.where();
  }
  return "";
}

TEST(Decode, PngComesBackAsWritten) {
  TestFolder folder;
  const Image picture = test_picture(37, 21);
  write_png(folder / "a.png", picture);
  const Image read = decode_image(folder / "a.png");
  EXPECT_EQ(read.size(), picture.size());
  EXPECT_EQ(read.rgb, picture.rgb);
  EXPECT_EQ(image_size(folder / "a.png"), picture.size());
}

class DecodeFormat : public testing::TestWithParam<const char*> {};

TEST_P(DecodeFormat, OpensByContentUnderAnyName) {
  TestFolder folder;
  const fs::path made = folder / (std::string("a") + GetParam());
  vips_picture(test_picture(40, 24)).write_to_file(made.c_str());
  for (const char* name : {"b.png", "c.jpg", "d[1].jpg", "e [n=2]", "no-extension"}) {
    fs::copy_file(made, folder / name);
    EXPECT_EQ(decode_image(folder / name).size(), (Size{40, 24})) << name;
    EXPECT_EQ(image_size(folder / name), (Size{40, 24})) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, DecodeFormat,
                         testing::Values(".png", ".jpg", ".webp", ".gif", ".tif", ".tiff", ".avif",
                                         ".jxl", ".bmp"));

TEST(Decode, OrientationTurnsThePicture) {
  TestFolder folder;
  VImage picture = vips_picture(test_picture(40, 24));
  picture.set("orientation", 6);
  picture.write_to_file((folder / "a.jpg").c_str());
  EXPECT_EQ(image_size(folder / "a.jpg"), (Size{24, 40}));
  EXPECT_EQ(decode_image(folder / "a.jpg").size(), (Size{24, 40}));
}

TEST(Decode, AlphaIsKeptOnRequest) {
  TestFolder folder;
  const Image picture = test_picture(40, 24);
  VImage image = vips_picture(picture).bandjoin(vips_picture(picture)[2]);
  image.set("orientation", 3);
  image.write_to_file((folder / "a.tif").c_str());
  const Image plain = decode_image(folder / "a.tif");
  const Image kept = decode_image(folder / "a.tif", {.keep_alpha = true});
  EXPECT_TRUE(plain.alpha.empty());
  EXPECT_EQ(kept.rgb, plain.rgb);
  ASSERT_EQ(kept.alpha.size(), 40u * 24);
  EXPECT_EQ(kept.alpha.front(), picture.rgb.back());  // turned upside down
  EXPECT_EQ(kept.alpha.back(), picture.rgb[2]);
  write_png(folder / "b.png", picture);
  EXPECT_TRUE(decode_image(folder / "b.png", {.keep_alpha = true}).alpha.empty());
}

class FastDecode : public testing::TestWithParam<const char*> {};

TEST_P(FastDecode, ShrinksToNoLessThanWhatIsNeeded) {
  TestFolder folder;
  VImage picture = vips_picture(resize(test_noise(20, 15, 1), 400, 296));
  picture.set("orientation", 6);
  const fs::path path = folder / (std::string("a") + GetParam());
  picture.write_to_file(path.c_str());
  const Image whole = decode_image(path);
  ASSERT_EQ(whole.size(), (Size{296, 400}));
  const std::pair<Size, int> cases[] = {{{0, 0}, 1},     {{296, 400}, 1}, {{149, 100}, 1},
                                        {{100, 201}, 1}, {{148, 200}, 2}, {{74, 100}, 4},
                                        {{37, 50}, 8},   {{1, 1}, 8}};
  for (const auto& [at_least, shrink] : cases) {
    const Image image = decode_image(path, {.at_least = at_least});
    EXPECT_EQ(image.size(), (Size{296 / shrink, 400 / shrink})) << at_least.width;
    const Image expected = resize(whole, image.width, image.height);
    double difference = 0;
    for (size_t i = 0; i < image.rgb.size(); ++i) {
      difference += std::abs(int{image.rgb[i]} - int{expected.rgb[i]});
    }
    EXPECT_LT(difference / static_cast<double>(image.rgb.size()), 3) << at_least.width;
  }
}

TEST_P(FastDecode, OddSizesLoseLessThanAPixel) {
  TestFolder folder;
  const fs::path path = folder / (std::string("a") + GetParam());
  vips_picture(test_picture(403, 301)).write_to_file(path.c_str());
  for (const Size at_least : {Size{201, 150}, Size{100, 75}, Size{50, 37}}) {
    const Image image = decode_image(path, {.at_least = at_least});
    EXPECT_GE(image.width, at_least.width);
    EXPECT_GE(image.height, at_least.height);
    EXPECT_LE(image.width, at_least.width + 1);
    EXPECT_LE(image.height, at_least.height + 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, FastDecode, testing::Values(".jpg", ".webp"));

TEST(FastDecode, OtherFormatsComeWhole) {
  TestFolder folder;
  write_png(folder / "a.png", test_picture(80, 60));
  EXPECT_EQ(decode_image(folder / "a.png", {.at_least = {10, 10}}).size(), (Size{80, 60}));
}

TEST(Decode, FirstPageOfATiff) {
  TestFolder folder;
  const Image pages = test_picture(8, 16);
  VImage image = vips_picture(pages);
  image.set(VIPS_META_PAGE_HEIGHT, 8);
  image.write_to_file((folder / "a.tiff").c_str());
  const Image first = decode_image(folder / "a.tiff");
  EXPECT_EQ(first.size(), (Size{8, 8}));
  EXPECT_EQ(first.rgb, crop(pages, 0, 0, 8, 8).rgb);
}

TEST(Decode, AnimationGivesItsFirstFrame) {
  TestFolder folder;
  Image strip(8, 16);
  std::fill(strip.rgb.begin(), strip.rgb.begin() + 8 * 8 * 3, uint8_t{255});
  VImage frames = vips_picture(strip);
  frames.set(VIPS_META_PAGE_HEIGHT, 8);
  frames.write_to_file((folder / "a.gif").c_str());
  const Image first = decode_image(folder / "a.gif");
  EXPECT_EQ(first.size(), (Size{8, 8}));
  EXPECT_EQ(first.rgb, std::vector<uint8_t>(8 * 8 * 3, 255));
}

TEST(Decode, BrokenProfileCountsAsSrgb) {
  TestFolder folder;
  const Image picture = test_picture(20, 20);
  VImage image = vips_picture(picture);
  image.set(VIPS_META_ICC_NAME, nullptr, const_cast<char*>("not a profile at all"), 20);
  image.write_to_file((folder / "a.webp").c_str(), VImage::option()->set("lossless", true));
  EXPECT_EQ(decode_image(folder / "a.webp").rgb, picture.rgb);
}

TEST(Decode, CmykProfileIsConverted) {
  TestFolder folder;
  Image grey(64, 64);
  std::fill(grey.rgb.begin(), grey.rgb.end(), uint8_t{150});
  vips_picture(grey).icc_transform("cmyk").write_to_file((folder / "a.jpg").c_str(),
                                                         VImage::option()->set("Q", 100));
  const Image read = decode_image(folder / "a.jpg");
  // The profile's inks give back 140 at best; without it they would be taken for 131.
  for (const uint8_t value : read.rgb) ASSERT_NEAR(value, 140, 3);
}

TEST(Decode, CmykOf16BitsIsScaled) {
  TestFolder folder;
  const std::vector<double> inks = {0x2000, 0x8000, 0x4000, 0};
  VImage image = VImage::black(8, 8, VImage::option()->set("bands", 4)) + inks;
  image.cast(VIPS_FORMAT_USHORT)
      .copy(VImage::option()->set("interpretation", VIPS_INTERPRETATION_CMYK))
      .write_to_file((folder / "a.tif").c_str());
  const Image read = decode_image(folder / "a.tif");
  for (int channel = 0; channel < 3; ++channel) {
    EXPECT_NEAR(read.rgb[channel], 255 - inks[channel] / 257, 1) << channel;
  }
}

TEST(Decode, DamagedFilesAreNamed) {
  TestFolder folder;
  vips_picture(test_picture(300, 200)).write_to_file((folder / "good.jpg").c_str());
  write_png(folder / "good.png", test_picture(300, 200));
  const std::string jpeg = read_file(folder / "good.jpg"), png = read_file(folder / "good.png");
  folder.write("cut.jpg", jpeg.substr(0, jpeg.size() / 2));
  folder.write("cut.png", png.substr(0, png.size() / 2));
  folder.write("head.png", png.substr(0, 20));
  folder.write("empty.png", "");
  folder.write("text.png", "this is a text, no picture");
  folder.write("page.png", "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>");
  fs::create_symlink(folder / "circle.png", folder / "circle.png");
  for (const char* name : {"cut.jpg", "cut.png", "head.png", "empty.png", "text.png", "page.png",
                           "circle.png", "missing.png"}) {
    const std::string message = error_of([&] { decode_image(folder / name); });
    EXPECT_NE(message.find(name), std::string::npos) << name << ": " << message;
  }
  // Cut off behind the header: the size is still known, and decoding says what is wrong.
  EXPECT_EQ(image_size(folder / "cut.jpg"), (Size{300, 200}));
  for (const char* name : {"empty.png", "text.png", "page.png", "circle.png", "missing.png"}) {
    const std::string message = error_of([&] { image_size(folder / name); });
    EXPECT_NE(message.find(name), std::string::npos) << name << ": " << message;
  }
}

uint32_t png_crc(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0u);
  }
  return ~crc;
}

void put_big_endian(std::string& bytes, size_t at, uint32_t value) {
  for (int i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (24 - 8 * i));
}

// A PNG whose header claims 30,000 x 30,000 pixels must be refused before memory is taken for them.
TEST(Decode, BombIsRefusedByItsHeader) {
  TestFolder folder;
  write_png(folder / "bomb.png", test_picture(8, 8));
  std::string png = read_file(folder / "bomb.png");
  put_big_endian(png, 16, 30000);
  put_big_endian(png, 20, 30000);
  put_big_endian(png, 29, png_crc(std::string_view(png).substr(12, 17)));
  folder.write("bomb.png", png);
  const std::string said = "30000 x 30000 pixels, more than 200 million";
  EXPECT_NE(error_of([&] { decode_image(folder / "bomb.png"); }).find(said), std::string::npos);
  EXPECT_NE(error_of([&] { image_size(folder / "bomb.png"); }).find(said), std::string::npos);
}

TEST(Decode, OddNamesAndThinPictures) {
  TestFolder folder;
  const std::string latin1 = "caf\xe9.png", lengthy = std::string(246, 'x') + ".png";
  write_png(folder / "row.png", test_picture(500, 1));
  write_png(folder / "column.png", test_picture(1, 500));
  fs::copy_file(folder / "row.png", folder / latin1);
  fs::copy_file(folder / "row.png", folder / lengthy);
  EXPECT_EQ(decode_image(folder / "column.png").size(), (Size{1, 500}));
  EXPECT_EQ(decode_image(folder / latin1).size(), (Size{500, 1}));
  EXPECT_EQ(decode_image(folder / lengthy).size(), (Size{500, 1}));
}

TEST(Decode, ThreadsDoNotDisturbEachOther) {
  TestFolder folder;
  const Image picture = test_picture(64, 48);
  write_png(folder / "good.png", picture);
  folder.write("bad.png", read_file(folder / "good.png").substr(0, 200));
  std::atomic<int> good = 0, bad = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        good += decode_image(folder / "good.png").rgb == picture.rgb;
        bad += !error_of([&] { decode_image(folder / "bad.png"); }).empty();
      }
      end_image_thread();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 200);
  EXPECT_EQ(bad, 200);
}

TEST(ImageName, AnyLetterCase) {
  EXPECT_TRUE(is_image_name("a.png"));
  EXPECT_TRUE(is_image_name("a.b.JpG"));
  EXPECT_TRUE(is_image_name("x/a.TIFF"));
  EXPECT_FALSE(is_image_name("a.txt"));
  EXPECT_FALSE(is_image_name("png"));
}

}  // namespace
}  // namespace sdtune
