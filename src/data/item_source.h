// From one picture of the dataset to the numbers that the model's encoder takes. The loader calls
// it on its threads; another source (latents kept from an earlier run) may stand in its place.
#pragma once

#include <functional>
#include <vector>

#include "data/dataset.h"

namespace sdtune {

// Gives one item's values, the same number for all items of a bucket. Runs on several threads at
// once; throws Error for a picture that cannot be used.
using ItemSource = std::function<std::vector<float>(const Item& item)>;

// Decodes the item's picture, resizes it to its placement and cuts the bucket out of the middle.
// [3, height, width] in [-1, 1]. A picture whose size has changed since the dataset was made is
// fitted anew into the same bucket. Throws Error as decode_image does.
std::vector<float> load_pixels(const Item& item);

}  // namespace sdtune
