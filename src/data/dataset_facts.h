// What holds for a dataset as a whole, and decides what a run may keep, needs, and can repeat.
#pragma once

#include <string>

#include "data/dataset.h"

namespace sdtune {

// A hash of which pictures there are, by name and caption, so that a resumed run can tell whether
// they changed.
std::string fingerprint(const Dataset& dataset);
// The same of what places them in an epoch and weighs them: repeats, buckets, batches, loss
// weights.
std::string fingerprint_of_plan(const Dataset& dataset);

// Whether pixels are drawn anew in each epoch, so that kept latents cannot stand in for them.
bool augments_pixels(const Dataset& dataset);

// Whether the text encoder is asked the same thing in every epoch.
bool captions_stay(const Dataset& dataset);

// Whether any of the pictures may have a mask.
bool has_masks(const Dataset& dataset);

}  // namespace sdtune
