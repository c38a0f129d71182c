// From a loaded batch to tensors on the device: latents, masks, weights of pictures.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "data/loader.h"
#include "train/trainee.h"

namespace sdtune {

// Scaled latents [B, 4, h, w] fp32: those that were kept, or the pictures' encoded now. The
// posterior is drawn for each picture by itself, whatever batch it is in.
at::Tensor latents_of(const Trainee& trainee, const LoadedBatch& batch, uint64_t seed);

// The masks at the latents' size, [B, 1, h, w] in [0, 1]; none when the loss is not masked or no
// picture of the batch has one.
std::optional<at::Tensor> mask_of(const Trainee& trainee, const LoadedBatch& batch);

// What each picture counts: [B] fp32.
at::Tensor picture_weights_of(const Trainee& trainee, const LoadedBatch& batch);

}  // namespace sdtune
