// A whole Stable Diffusion 1.x model that has learned nothing, of any size, as a Diffusers folder:
// what the demo and tests start from.
#pragma once

#include <filesystem>

#include "models/config.h"

namespace sdtune {

struct RandomModel {
  UNetConfig unet;
  VaeConfig vae;
  ClipTextConfig text;
};

// The same bytes each time. Error when the folder cannot be written.
void write_random_model(const std::filesystem::path& folder, const RandomModel& sizes);

}  // namespace sdtune
