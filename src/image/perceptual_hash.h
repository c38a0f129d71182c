// A fingerprint that stays nearly the same when a picture is resized, recompressed or lightly
// retouched: finds near duplicates. It is blind to small details and not meant against forgery.
#pragma once

#include <cstdint>

#include "image/image.h"

namespace sdtune {

// The difference hash of N. Krawetz ("Kind of Like That", The Hacker Factor Blog, 2013): the
// picture as 9 x 8 means of area, in luma (Rec. 601); each bit, from the top left as the highest
// and row by row, says whether a mean is below its right neighbour. Throws Error when there are no
// pixels.
uint64_t perceptual_hash(const Image& image);

// In how many of the 64 bits they differ: 0 for a copy, up to about 10 for a version of the same
// picture, around 32 for two that have nothing in common.
int hash_distance(uint64_t a, uint64_t b);

}  // namespace sdtune
