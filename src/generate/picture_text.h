// What a picture was drawn from, as the words that go into its PNG file (sd-scripts' keywords).
#pragma once

#include "generate/picture_request.h"
#include "image/png_text.h"

namespace sdtune {

// prompt, seed, sampler, steps, scale; negative-prompt and negative-scale where there are any.
PngText picture_text(const PictureRequest& request);

}  // namespace sdtune
