// The pictures of the demo, each with its words: coloured shapes on plain grounds, which the demo's
// model can draw, and mushrooms, which it has never seen.
#pragma once

#include <cstdint>
#include <string>

#include "image/image.h"

namespace sdtune {

struct DemoPicture {
  Image image;
  std::string caption;  // "a red circle on the left, white background"
  std::string tags;     // "red, circle, left, white background"
};

// kVaried: caption, tags or both, so that a model learns to follow either.
enum class ShapeWords { kBoth, kVaried };

// A shape of one of 6 colours at one of 5 places on one of 4 grounds, 128 x 128 pixels. Size and
// place vary a little. A pure function of what it is given.
DemoPicture draw_shape_picture(uint64_t number, ShapeWords words);

// A mushroom, cyan above and brown below, at one of the 5 places on one of the 4 grounds; sides are
// 128 or 192 pixels. Caption and tags are both there. A pure function of its number.
DemoPicture draw_mushroom_picture(uint64_t number);

}  // namespace sdtune
