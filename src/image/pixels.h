// Bytes in rows without an owner: what the resizing filters read, be it three interleaved colours
// or a single alpha plane. For this folder's own sources only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sdtune {

struct Pixels {
  const uint8_t* data = nullptr;  // [height, width, channels]
  int width = 0;
  int height = 0;
  int channels = 3;

  size_t stride() const { return size_t{1} * width * channels; }
  const uint8_t* row(int y) const { return data + y * stride(); }
};

}  // namespace sdtune
