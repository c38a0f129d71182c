// From a loaded batch to what its pass reads on the device: latents, hidden states of captions,
// noise and timesteps, masks, weights of pictures.
#pragma once

#include <ATen/core/Tensor.h>

#include "data/loader.h"
#include "train/batch_pass.h"
#include "train/trainee.h"

namespace sdtune {

struct BatchInputs {
  at::Tensor latents;  // [B, 4, h, w] fp32, scaled: those that were kept, or encoded now
  PassInputs pass;     // without `batches`
};

// `draws` is the place of the batch in the run. The VAE's posterior is drawn for each picture by
// itself, whatever batch it is in. Where latents are kept and the text encoder is frozen the
// device makes all of it beside the pass of the batch before.
BatchInputs inputs_of(Trainee& trainee, const LoadedBatch& batch, const DrawPosition& draws);

}  // namespace sdtune
