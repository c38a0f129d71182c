#include "generate/picture_text.h"

#include "options/option.h"

namespace sdtune {

PngText picture_text(const PictureRequest& request) {
  PngText text = {{"prompt", request.prompt},
                  {"seed", std::to_string(request.seed)},
                  {"sampler", request.sampler},
                  {"steps", std::to_string(request.steps)},
                  {"scale", number_text(request.scale)}};
  if (!request.negative_prompt.empty()) {
    text.emplace_back("negative-prompt", request.negative_prompt);
  }
  if (request.negative_scale) {
    text.emplace_back("negative-scale", number_text(*request.negative_scale));
  }
  return text;
}

}  // namespace sdtune
