// From one appearance of a picture to the numbers that a step starts from. The loader calls a
// source on its threads: load_pixels() here, or latents kept from earlier (latent_cache.h).
#pragma once

#include <functional>
#include <vector>

#include "data/dataset.h"

namespace sdtune {

// One appearance of a picture: what its random draws are a function of, and nothing else is.
struct Appearance {
  const Item& item;
  const SubsetOptions& subset;
  uint64_t seed = 0;
  int64_t epoch = 0;
  int64_t repeat = 0;
};

// Either pixels or latents; the other is empty.
struct SampleValues {
  std::vector<float> pixels;      // [3, height, width] in [-1, 1]
  std::vector<float> latents;     // [4, height / 8, width / 8], not scaled
  std::vector<float> alpha_mask;  // [height, width] in [0, 1]; empty without alpha_mask
};

// Runs on several threads at once; throws Error for a picture that cannot be used.
using ItemSource = std::function<SampleValues(const Appearance& appearance)>;

// The draws of an appearance's augmentation, always in this order and always all, so that one
// option never moves another's draw.
struct AugmentDraws {
  bool flip = false;         // half of all
  double x = 0.5, y = 0.5;   // where in the excess a random crop lies, [0, 1)
  uint64_t crop_seed = 0;    // for the draws of augment.h: a face crop's
  uint64_t colour_seed = 0;  // and a change of colour's
};
AugmentDraws augment_draws(const Appearance& appearance);

// Decodes the picture, resizes it to its placement and cuts the bucket out of the middle or, with
// random_crop, of anywhere; mirrors and recolours as the subset says. A picture whose size has
// changed since the dataset was made is fitted anew into the same bucket. Throws Error as
// decode_image does. With `fast_decode` large pictures are shrunk while they are decoded: faster,
// and not the same bits.
SampleValues load_pixels(const Appearance& appearance, bool fast_decode = false);
ItemSource pixel_source(bool fast_decode);

// What `source` gives, with the mask of the picture's own mask file as its alpha mask, where it has
// one: the file's red, resized to the picture's size and from there on cut and mirrored as the
// picture is. Throws Error as decode_image does.
ItemSource masked_source(ItemSource source);

}  // namespace sdtune
