// The words in and on a picture's PNG file, as sd-scripts writes them.
#pragma once

#include <string>

#include "generate/picture_request.h"
#include "image/png_text.h"

namespace sdtune {

// prompt, seed, sampler, steps, scale; negative-prompt and negative-scale where there are any.
PngText picture_text(const PictureRequest& request);

// The time as it stands in names of files, "20260131120000".
std::string time_for_name();

}  // namespace sdtune
