// Resizing by a filter that widens when the picture shrinks, with the bits of PIL: fixed-point
// weights, rows before columns, rounded to bytes between. For resize.cc only.
#pragma once

#include <cstdint>
#include <vector>

#include "image/pixels.h"

namespace sdtune {

enum class Filter {
  kLanczos,  // three lobes
  kBox,      // every covered source position alike
  kBicubic,  // two lobes, a = -1/2
};

// [height, width, channels] of `from` scaled; both sides at least 1.
std::vector<uint8_t> resize_filtered(const Pixels& from, int width, int height, Filter filter);

}  // namespace sdtune
