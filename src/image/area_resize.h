// Shrinking by the mean of the covered area, with the bits of OpenCV's INTER_AREA and in less time:
// a pixel's three colours move through the arithmetic together. OpenCV itself still does what
// grows, and the two-by-two mean, for which it has code of its own. For resize.cc only.
#pragma once

#include <cstdint>
#include <vector>

#include "image/pixels.h"

namespace sdtune {

// [height, width, channels] of `from` scaled; both sides at least 1.
std::vector<uint8_t> resize_area(const Pixels& from, int width, int height);

}  // namespace sdtune
