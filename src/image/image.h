// A decoded picture: 8-bit sRGB in rows, what training and previews see, and beside it its alpha
// where somebody asked for that. Every reader converts to this form and every writer starts from
// it, so no other code knows of channels, profiles or bit depths.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sdtune {

struct Size {
  int width = 0;
  int height = 0;
  auto operator<=>(const Size&) const = default;  // by width, then height
};

struct Image {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;    // [height, width, 3]
  std::vector<uint8_t> alpha;  // [height, width], or empty: opaque everywhere, or not asked for

  Image() = default;
  Image(int w, int h) : width(w), height(h), rgb(size_t{3} * w * h) {}
  Size size() const { return {width, height}; }
};

}  // namespace sdtune
