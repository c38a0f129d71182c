// `sdtune train` (sd-scripts' fine_tune.py): options, device and messages; the work is
// train/trainer.h's.
#pragma once

#include <span>
#include <string>

#include "train/train_options.h"

namespace sdtune {

int run_train(std::span<const std::string> args);

}  // namespace sdtune
