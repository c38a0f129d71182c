// Resizing, cropping, mirroring and the step from bytes to the model's numbers; a picture's alpha
// goes through all of it as its colours do. Which size a picture gets is decided elsewhere
// (data/buckets.h).
#pragma once

#include "image/image.h"

namespace sdtune {

// The choices of sd-scripts' resize_interpolation, each with the bits of the library behind it.
enum class Interpolation {
  kDefault,   // kArea when neither side grows, else kLanczos: the rule of sd-scripts 0.10
  kArea,      // mean of the covered source area; OpenCV's INTER_AREA
  kLanczos,   // three lobes, widened when shrinking against aliasing; PIL's LANCZOS
  kNearest,   // OpenCV's INTER_NEAREST_EXACT
  kBilinear,  // OpenCV's INTER_LINEAR: no widening when shrinking
  kBicubic,   // OpenCV's INTER_CUBIC, likewise
  kBox,       // PIL's BOX
};

// What kDefault stands for between these sizes; any other choice itself.
Interpolation resolved(Interpolation interpolation, Size from, Size to);

// The whole picture scaled to `width` x `height`, both at least 1. A picture that has this size
// already comes back unchanged. Throws Error when a side is below 1.
Image resize(const Image& image, int width, int height,
             Interpolation interpolation = Interpolation::kDefault);

// The same by PIL's BICUBIC, whose filter widens when the picture shrinks: what vision models were
// trained with. None of the choices for training pictures.
Image resize_by_wide_bicubic(const Image& image, int width, int height);

// The part [x, x + width) x [y, y + height), which must lie inside; Error otherwise.
Image crop(const Image& image, int x, int y, int width, int height);

// Left and right exchanged.
Image mirrored(const Image& image);

// out [3, height, width]: (value / 255 - 0.5) / 0.5, so -1 is black and 1 is white.
void to_planes(const Image& image, float* out);

// out [height, width]: alpha / 255, so 0 is transparent; 1 everywhere for a picture without alpha.
void to_mask(const Image& image, float* out);

}  // namespace sdtune
