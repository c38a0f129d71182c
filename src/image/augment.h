// Random changes to a picture before training: a touch of another colour, and crops that follow a
// face. Same draws, same pixels. Flips and plain random crops are resize.h's mirrored() and crop()
// with the caller's draws; which pictures are changed is the caller's choice.
#pragma once

#include <optional>
#include <string_view>

#include "base/philox.h"
#include "image/image.h"

namespace sdtune {

// A change of colour; at most one of the two is not neutral.
struct ColourChange {
  double hue_degrees = 0;  // positive turns red towards yellow and green
  double gamma = 1;
};

// Neutral in 67 of 100 cases; else, by equal chance, a hue in [-16, 16) degrees or a gamma in
// [0.95, 1.05), as sd-scripts' color_aug. Always three draws: whether, which, how much.
ColourChange draw_colour_change(Random& random);

// Turns every pixel's hue; its largest and its smallest channel keep their values. Works without
// sd-scripts' rounding of hues to two degrees, and turns the way that the number says.
void shift_hue(Image& image, double degrees);

// Every value v becomes v^gamma on the scale of 0 to 255, cut off at 255 and rounded down:
// sd-scripts' formula, which also makes the picture lighter (gamma > 1) or darker.
void apply_gamma(Image& image, double gamma);

// The picture after one draw_colour_change. Alpha stays.
void augment_colour(Image& image, Random& random);

// A face's centre and size in pixels of the upright picture.
struct Face {
  int centre_x = 0;
  int centre_y = 0;
  int width = 0;
  int height = 0;
};

// From a file name without extension that ends in _<cx>_<cy>_<w>_<h>, with anything before it.
// Nothing when it does not, or when the face has no size.
std::optional<Face> face_of_stem(std::string_view stem);

struct FaceCropOptions {
  Size target;      // of the crop
  double low = 1;   // the crop's shorter side in lengths of the face's longer one: lowest…
  double high = 1;  // …and highest; both above 0, low <= high
  bool random_crop = false;  // lets the face wander over the whole crop, the middle likeliest
};

// Resize the picture to `resized`, then cut the target's size out at (x, y).
struct FaceCrop {
  Size resized;
  int x = 0;
  int y = 0;
};

// sd-scripts' face crop. The scale is uniform between those that the range asks for, bounded so
// that the target is covered and nothing is enlarged. The face stands in the middle as far as the
// borders allow; with random_crop it is moved by the sum of two uniform draws, else, where low <
// high and the face is large enough to matter, by up to a twentieth of it. Draws in this order: the
// scale (always); for y and then for x two (random_crop) or one (else, where it is moved) or none.
// Throws Error when the picture is smaller than the target or an option is out of its range.
FaceCrop draw_face_crop(Size picture, const Face& face, const FaceCropOptions& options,
                        Random& random);

// The pixels of one draw_face_crop, shrunk by the mean of the area.
Image crop_to_face(const Image& image, const Face& face, const FaceCropOptions& options,
                   Random& random);

}  // namespace sdtune
