// The one call of OpenCV's resize, for this folder's own sources only.
#pragma once

#include <cstdint>
#include <vector>

#include "image/pixels.h"

namespace sdtune {

// [height, width, channels]; `method` is one of OpenCV's INTER_ numbers. Runs on the calling
// thread.
std::vector<uint8_t> resize_by_opencv(const Pixels& from, int width, int height, int method);

}  // namespace sdtune
