// A picture as BLIP sees it: squashed to a square, its proportions lost, and its colours in units
// of CLIP's training pictures. Transformers' BlipImageProcessor and sd-scripts' make_captions.py.
#pragma once

#include "image/image.h"

namespace sdtune {

// `side` x `side`, by PIL's BICUBIC.
Image blip_square(const Image& image, int side);

// out [3, height, width]: (value / 255 - mean) / deviation, each colour with its own.
void to_blip_planes(const Image& image, float* out);

}  // namespace sdtune
