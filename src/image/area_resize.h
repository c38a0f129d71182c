// Shrinking by the mean of the covered area, with the bits of OpenCV's INTER_AREA and in less time:
// a pixel's three colours move through the arithmetic together. OpenCV itself still does what
// grows, and the two-by-two mean, for which it has code of its own. For resize.cc only.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "image/image.h"
#include "image/pixels.h"

namespace sdtune {

// [height, width, channels] of `from` scaled; both sides at least 1.
std::vector<uint8_t> resize_area(const Pixels& from, int width, int height);

// A picture's row y, asked for from the top down, a row again before the next one or never. What
// comes back holds until the next call.
using RowSource = std::function<const uint8_t*(int y)>;

// Whether resize_area() between these sizes needs no more than a RowSource: shrink_rows().
bool shrinks_by_rows(Size from, Size to);

// [to.height, to.width, channels] with the bits of resize_area(), for sizes that shrinks_by_rows().
// Every row is asked for unless a sliver at the end is left out.
std::vector<uint8_t> shrink_rows(const RowSource& rows, Size from, int channels, Size to);

}  // namespace sdtune
