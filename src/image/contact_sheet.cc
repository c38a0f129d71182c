#include "image/contact_sheet.h"

#include <algorithm>
#include <vips/vips8>

#include "base/error.h"
#include "image/resize.h"
#include "image/vips_library.h"

namespace sdtune {

namespace {

using vips::VImage;

constexpr int kCell = 256;
constexpr int kGap = 8;
constexpr int kLabelWidth = 220;
constexpr int kTitleHeight = 20;
constexpr size_t kLongestLabel = 1000;  // bytes
constexpr int kInk = 0x2b;
constexpr const char* kFont = "DejaVu Sans, Liberation Sans, Arial, sans-serif 9";

struct Place {
  int x, y, width, height;
};

// Pango reads markup.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else if (c == '>') {
      result += "&gt;";
    } else {
      result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return result;
}

// At most kLongestLabel bytes, cut between characters.
std::string_view cut(std::string_view text) {
  if (text.size() <= kLongestLabel) return text;
  size_t end = kLongestLabel;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

void write(Image& page, const std::string& text, const Place& place) {
  const std::string markup = escaped(cut(text));
  if (markup.find_first_not_of(' ') == std::string::npos) return;
  const VImage mask = VImage::text(markup.c_str(), VImage::option()
                                                       ->set("font", kFont)
                                                       ->set("width", place.width)
                                                       ->set("dpi", 96)
                                                       ->set("wrap", VIPS_TEXT_WRAP_WORD_CHAR));
  size_t size = 0;
  void* memory = mask.write_to_memory(&size);
  const auto* cover = static_cast<const uint8_t*>(memory);
  const int bands = mask.bands();
  for (int y = 0; y < std::min(mask.height(), place.height); ++y) {
    for (int x = 0; x < std::min(mask.width(), place.width); ++x) {
      const int ink = cover[(size_t{1} * y * mask.width() + x) * bands];
      uint8_t* pixel = &page.rgb[3 * (size_t{1} * (place.y + y) * page.width + place.x + x)];
      for (int c = 0; c < 3; ++c) {
        pixel[c] = static_cast<uint8_t>(pixel[c] + (kInk - pixel[c]) * ink / 255);
      }
    }
  }
  g_free(memory);
}

void paste(Image& page, const Image& picture, int left, int top) {
  for (int y = 0; y < picture.height; ++y) {
    const auto row = picture.rgb.begin() + size_t{3} * y * picture.width;
    std::copy_n(row, size_t{3} * picture.width,
                page.rgb.begin() + 3 * (size_t{1} * (top + y) * page.width + left));
  }
}

struct Grid {
  int width = 0;             // of each column
  std::vector<int> heights;  // of each row
  size_t columns = 0;
};

Grid measure(const std::vector<SheetRow>& rows) {
  Grid grid;
  for (const SheetRow& row : rows) {
    grid.heights.push_back(3 * kTitleHeight);  // room for a label of three lines
    grid.columns = std::max(grid.columns, row.pictures.size());
    for (const Image& picture : row.pictures) {
      grid.width = std::max(grid.width, picture.width);
      grid.heights.back() = std::max(grid.heights.back(), picture.height);
    }
  }
  return grid;
}

Image draw(const ContactSheet& sheet, const Grid& grid) {
  int height = kGap + kTitleHeight;
  for (const int row : grid.heights) height += row + kGap;
  const int first = kLabelWidth + 2 * kGap;
  Image page(first + static_cast<int>(grid.columns) * (grid.width + kGap), height);
  std::fill(page.rgb.begin(), page.rgb.end(), 255);
  const auto left = [&](size_t column) {
    return first + static_cast<int>(column) * (grid.width + kGap);
  };
  for (size_t i = 0; i < std::min(sheet.columns.size(), grid.columns); ++i) {
    write(page, sheet.columns[i], {left(i), kGap, grid.width, kTitleHeight});
  }
  int top = kGap + kTitleHeight;
  for (size_t r = 0; r < sheet.rows.size(); ++r) {
    write(page, sheet.rows[r].label, {kGap, top, kLabelWidth, grid.heights[r]});
    for (size_t i = 0; i < sheet.rows[r].pictures.size(); ++i) {
      paste(page, sheet.rows[r].pictures[i], left(i), top);
    }
    top += grid.heights[r] + kGap;
  }
  return page;
}

}  // namespace

Image sheet_cell(const Image& picture) {
  const int longest = std::max(picture.width, picture.height);
  if (longest <= kCell) return picture;
  const auto side = [&](int length) {
    return std::max(1, static_cast<int>(int64_t{kCell} * length / longest));
  };
  return resize(picture, side(picture.width), side(picture.height), Interpolation::kArea);
}

Image draw_contact_sheet(const ContactSheet& sheet) {
  start_vips();
  const Grid grid = measure(sheet.rows);
  if (grid.width == 0) throw Error("a contact sheet needs a picture");
  try {
    return draw(sheet, grid);
  } catch (const vips::VError& error) {
    throw Error(fmt::format("the contact sheet could not be drawn: {}", vips_reason(error.what())));
  }
}

}  // namespace sdtune
