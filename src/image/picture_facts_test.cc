#include "image/picture_facts.h"

#include <gtest/gtest.h>

#include <vips/vips8>

#include "base/error.h"
#include "image/test_pictures.h"
#include "image/test_vips.h"

namespace sdtune {
namespace {

using vips::VImage;

TEST(PictureFacts, PlainPictureOfEachFormat) {
  TestFolder folder;
  const std::pair<const char*, const char*> formats[] = {
      {"png", "PNG"},  {"jpg", "JPEG"},    {"webp", "WebP"}, {"gif", "GIF"},
      {"tif", "TIFF"}, {"jxl", "JPEG XL"}, {"avif", "AVIF"}, {"bmp", "BMP"}};
  for (const auto& [extension, name] : formats) {
    const auto path = folder / (std::string("a.") + extension);
    vips_picture(test_picture(40, 24)).write_to_file(path.c_str());
    const PictureFacts facts = picture_facts(path);
    EXPECT_EQ(facts.format, name);
    EXPECT_EQ(facts.size, (Size{40, 24})) << name;
    EXPECT_EQ(facts.pages, 1) << name;
    EXPECT_FALSE(facts.is_turned || facts.is_16_bit || facts.is_cmyk) << name;
    EXPECT_FALSE(facts.has_alpha) << name;
  }
}

TEST(PictureFacts, TurnedCmykWithProfile) {
  TestFolder folder;
  VImage picture = vips_picture(test_picture(40, 24)).icc_transform("cmyk");
  picture.set("orientation", 6);
  picture.write_to_file((folder / "a.jpg").c_str());
  const PictureFacts facts = picture_facts(folder / "a.jpg");
  EXPECT_EQ(facts.size, (Size{24, 40}));
  EXPECT_TRUE(facts.is_turned);
  EXPECT_TRUE(facts.is_cmyk);
  EXPECT_TRUE(facts.has_profile);
}

TEST(PictureFacts, AlphaAndDepth) {
  TestFolder folder;
  vips_picture(test_picture(40, 24))
      .colourspace(VIPS_INTERPRETATION_RGB16)
      .bandjoin_const({30000})
      .write_to_file((folder / "a.png").c_str());
  const PictureFacts facts = picture_facts(folder / "a.png");
  EXPECT_TRUE(facts.has_alpha);
  EXPECT_TRUE(facts.is_16_bit);
  EXPECT_FALSE(facts.has_profile);
}

TEST(PictureFacts, FramesAreCounted) {
  TestFolder folder;
  VImage frames = vips_picture(test_picture(8, 24));
  frames.set(VIPS_META_PAGE_HEIGHT, 8);
  for (const char* name : {"a.gif", "a.webp", "a.tif"}) {
    frames.write_to_file((folder / name).c_str());
    const PictureFacts facts = picture_facts(folder / name);
    EXPECT_EQ(facts.pages, 3) << name;
    EXPECT_EQ(facts.size, (Size{8, 8})) << name;
  }
}

TEST(PictureFacts, UnknownFilesAreNamed) {
  TestFolder folder;
  folder.write("text.png", "no picture");
  for (const char* name : {"text.png", "missing.png"}) {
    try {
      picture_facts(folder / name);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_NE((std::string(error.what()) + error.where()).find(name), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace sdtune
