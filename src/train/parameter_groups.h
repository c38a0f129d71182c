// Which parameters are trained, and at which rates: the optimizer's groups from the options.
#pragma once

#include <vector>

#include "models/clip_text.h"
#include "models/unet_2d_condition.h"
#include "optim/optimizer.h"
#include "train/optimizer_options.h"

namespace sdtune {

// The U-Net's parameters, as "unet.<name>", in one group for each rate of --block_lr; those of the
// text encoder, as "text_encoder.<name>", where it is trained (else null). Parts of the U-Net whose
// rate is 0 are frozen and belong to no group. UsageError as BlockRates, and for names that no
// parameter has.
std::vector<ParameterGroup> parameter_groups(const OptimizerOptions& options,
                                             UNet2DConditionModel& unet,
                                             ClipTextModel* text_encoder);

}  // namespace sdtune
