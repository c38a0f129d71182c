#include "image/contact_sheet.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/error.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

Image plain(int width, int height, uint8_t value) {
  Image image(width, height);
  std::fill(image.rgb.begin(), image.rgb.end(), value);
  return image;
}

// The part of the page that has this grey.
struct Box {
  int left = 1 << 20, top = 1 << 20, right = 0, bottom = 0;
  int width() const { return right - left + 1; }
  int height() const { return bottom - top + 1; }
};
Box box_of(const Image& page, uint8_t value) {
  Box box;
  for (int y = 0; y < page.height; ++y) {
    for (int x = 0; x < page.width; ++x) {
      const uint8_t* pixel = &page.rgb[3 * (size_t{1} * y * page.width + x)];
      if (pixel[0] != value || pixel[1] != value || pixel[2] != value) continue;
      box = {std::min(box.left, x), std::min(box.top, y), std::max(box.right, x),
             std::max(box.bottom, y)};
    }
  }
  return box;
}

TEST(ContactSheet, ShrinksLargePictures) {
  EXPECT_EQ(sheet_cell(plain(1024, 512, 10)).size(), (Size{256, 128}));
  EXPECT_EQ(sheet_cell(plain(3, 5000, 10)).size(), (Size{1, 256}));
  EXPECT_EQ(sheet_cell(plain(100, 256, 10)).size(), (Size{100, 256}));
}

TEST(ContactSheet, HasARowForEachPrompt) {
  ContactSheet sheet;
  sheet.rows = {{"", {plain(100, 50, 10), plain(80, 90, 20)}}, {"", {Image(), plain(50, 60, 30)}}};
  const Image page = draw_contact_sheet(sheet);
  const Box a = box_of(page, 10), b = box_of(page, 20), c = box_of(page, 30);
  EXPECT_EQ(a.width(), 100);
  EXPECT_EQ(a.height(), 50);
  EXPECT_EQ(b.width(), 80);
  EXPECT_EQ(b.height(), 90);
  EXPECT_EQ(c.width(), 50);
  EXPECT_EQ(a.top, b.top);
  EXPECT_EQ(b.left, c.left);  // the empty place is kept
  EXPECT_GT(b.left, a.right);
  EXPECT_GT(c.top, b.bottom);
  EXPECT_LT(c.bottom, page.height);
  EXPECT_LT(b.left + 100, page.width);  // a column is as wide as the widest picture
}

TEST(ContactSheet, TextsStayInTheirPlaces) {
  std::string label;
  for (int i = 0; i < 400; ++i) label += "größe <b> & 猫 ";
  const ContactSheet sheet{.columns = {label}, .rows = {{label, {plain(64, 64, 7)}}}};
  const Image with = draw_contact_sheet(sheet);
  const std::vector<SheetRow> without_label = {{"", {plain(64, 64, 7)}}};
  const Image without = draw_contact_sheet({.rows = without_label});
  EXPECT_EQ(with.size(), without.size());
  EXPECT_EQ(box_of(with, 7).width(), 64);
  EXPECT_EQ(box_of(with, 7).height(), 64);
  const auto ink = [](const Image& page) {
    return std::count_if(page.rgb.begin(), page.rgb.end(), [](uint8_t v) { return v < 100; });
  };
  EXPECT_GT(ink(with), ink(without) + 500);
  const Image titled = draw_contact_sheet({.columns = {"step 5"}, .rows = without_label});
  EXPECT_GT(ink(titled), ink(without) + 20);
}

TEST(ContactSheet, NeedsAPicture) {
  EXPECT_THROW(draw_contact_sheet({}), Error);
  EXPECT_THROW(draw_contact_sheet({.rows = {{"a", {}}}}), Error);
}

}  // namespace
}  // namespace sdtune
