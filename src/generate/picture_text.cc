#include "generate/picture_text.h"

#include "base/system.h"
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

std::string time_for_name() {
  std::string time = local_time_iso8601();
  std::erase_if(time, [](char c) { return c < '0' || c > '9'; });
  return time;
}

}  // namespace sdtune
