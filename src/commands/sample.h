// `sdtune sample` (sd-scripts' gen_img.py): pictures from prompts by a model.
#pragma once

#include <span>
#include <string>

#include "commands/sample_options.h"

namespace sdtune {

int run_sample(std::span<const std::string> args);

}  // namespace sdtune
