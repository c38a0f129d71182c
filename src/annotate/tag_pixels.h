// What taggers see of a picture: a square of the model's side, and its numbers in the model's
// order.
#pragma once

#include "image/image.h"

namespace sdtune {

// Padded with white to a square, the odd pixel right and below, then resized: by area where it
// shrinks, by PIL's LANCZOS where it grows. Pictures longer than 8192 pixels are first made that
// long, by area, so that the square around a thin one fits into memory.
Image white_square(const Image& image, int side);

// As DeepDanbooru's load_image_for_evaluate makes it: resized by area with its proportions kept, as
// TensorFlow's ResizeMethod.AREA (a growing picture too), in the middle of the square, and its
// edges repeated to the square's. What stands half a pixel off is the mean of its neighbours.
Image edge_square(const Image& image, int side);

struct PixelOrder {
  bool channels_last = true;  // [side, side, 3], else [3, side, side]
  bool blue_first = true;
  float divisor = 1;
  float offset = 0;  // value = byte / divisor + offset
};

void to_tagger_numbers(const Image& image, const PixelOrder& order, float* out);

}  // namespace sdtune
