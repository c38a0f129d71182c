// Aspect-ratio buckets: which shape each picture is trained at, so that pictures of unlike shapes
// need not be cut to one. The rules are those of sd-scripts. Pixels are resized elsewhere
// (item_source.h).
#pragma once

#include <optional>
#include <vector>

#include "image/image.h"

namespace sdtune {

struct BucketOptions {
  Size resolution{512, 512};  // its area bounds every bucket; with buckets off it is the only one
  bool enable = false;
  bool no_upscale = false;  // buckets after the pictures' own sizes; min_reso and max_reso unused
  int min_reso = 256;       // shortest and longest side of a bucket
  int max_reso = 1024;
  int reso_steps = 64;  // sides are multiples of this
};

// The picture is resized to `resized`, which covers `bucket`, and the excess is cut off.
struct Placement {
  Size bucket;
  Size resized;
};

// The options with min_reso rounded down and max_reso up to a multiple of reso_steps (with a
// warning). Throws UsageError: sides that are no multiples of 8, steps not divisible by 64, a range
// that does not hold the resolution.
BucketOptions checked(BucketOptions options);

// All buckets of at most the resolution's area, sorted by width, then height; the resolution alone
// when buckets are off. Not for no_upscale, which has no list.
std::vector<Size> bucket_list(const BucketOptions& options);

// A picture of size `image` made to cover `bucket` at its own proportions. None where the excess
// would be over 15 times what is kept: such a strip cannot be trained on.
std::optional<Placement> cover(Size image, Size bucket);

// Places pictures by checked options.
class BucketChooser {
 public:
  explicit BucketChooser(const BucketOptions& options);

  // None when the picture is too thin for any bucket, or with no_upscale smaller than one step.
  std::optional<Placement> place(Size image) const;

 private:
  BucketOptions options_;
  std::vector<Size> buckets_;
};

}  // namespace sdtune
