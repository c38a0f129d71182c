// The models of a run as they are saved and shown: copies that share the trainee's tensors, or the
// averages of the weights in their places.
#pragma once

#include <memory>

#include "models/clip_text.h"
#include "models/hypernetwork.h"
#include "models/unet_2d_condition.h"
#include "train/trainee.h"

namespace sdtune {

struct ModelCopies {
  UNet2DConditionModel unet;
  ClipTextModel text_encoder;
  std::unique_ptr<Hypernetwork> hypernetwork;  // attached to `unet`; null where none is trained
};

// With `ema` trained parts hold the trainee's averages, wherever those lie; frozen ones stay as
// they are.
ModelCopies model_copies(const Trainee& trainee, bool ema);

}  // namespace sdtune
