// The pictures of the demo: coloured shapes on coloured grounds, in several shapes of picture, each
// with its words.
#pragma once

#include <cstdint>
#include <string>

#include "image/image.h"

namespace sdtune {

struct DemoPicture {
  Image image;
  std::string caption;  // "a red circle on a white background"
  std::string tags;     // "red, circle, white background"
};

// A pure function of its number; sides are multiples of 64 from 64 to 192.
DemoPicture draw_demo_picture(uint64_t number);

}  // namespace sdtune
