// Pictures larger than what a model was trained at, in two stages: drawn small, enlarged, and
// partly drawn anew at full size, so that they are composed as the model knows it (sd-scripts'
// highres fix).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "generate/draw_pictures.h"

namespace sdtune {

struct HighresFix {
  double scale = 0.5;              // of the first stage's sides, which are multiples of 32
  int64_t steps = 28;              // of the first stage
  std::optional<double> strength;  // of the first stage, where it starts from a picture
  bool enlarges_latents = false;   // bilinearly, instead of the decoded picture
};

struct TwoStages {
  std::vector<Image> small;  // empty when latents were enlarged, unless they are asked for
  std::vector<Image> large;  // empty when goes_on() ended it
};

// The second stage takes `strength` of the requests' steps, and seeds of one more. A mask counts
// in the first stage.
TwoStages draw_in_two_stages(const PictureModels& models, const DrawSettings& settings,
                             std::span<const PictureRequest> batch, const HighresFix& fix,
                             bool wants_small);

}  // namespace sdtune
