// What a run trains towards: noise schedule, noise, timesteps, target and loss, set up once from
// the options. One place for the training step and for validation.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "diffusion/loss.h"
#include "diffusion/noise.h"
#include "diffusion/noise_schedule.h"
#include "diffusion/timesteps.h"
#include "models/family.h"
#include "train/loss_options.h"
#include "train/noise_options.h"

namespace sdtune {

struct Objective {
  NoiseSchedule schedule;  // on the device
  NoiseSettings noise;
  TimestepSettings timesteps;
  LossSettings loss;
  bool masked = false;
  bool normalize_mask = false;
};

// UsageError for options that do not fit each other or the model; a warning for what is odd.
Objective make_objective(const NoiseOptions& noise, const LossOptions& loss,
                         PredictionType prediction, at::Device device);

// Latents hidden under noise, and what the model is to say of them. All on the device.
struct DiffusedBatch {
  at::Tensor noise;      // [B, 4, h, w] fp32, as the target has it
  at::Tensor timesteps;  // [B] int64
  at::Tensor noisy;      // [B, 4, h, w] fp32
  at::Tensor target;     // [B, 4, h, w] fp32
};

// With the noise and timesteps of a training step. latents: [B, 4, h, w] on the device.
DiffusedBatch diffuse(const Objective& objective, const at::Tensor& latents,
                      const DrawPosition& position);

// The same with plain noise of that position at the given timesteps.
DiffusedBatch diffuse_at(const Objective& objective, const at::Tensor& latents,
                         const DrawPosition& position, const at::Tensor& timesteps);

struct BatchLosses {
  at::Tensor plain;     // [B] fp32, detached: before any weight of a timestep
  at::Tensor weighted;  // [B] fp32
};

// mask: [B, 1, h, w] at the latents' size.
BatchLosses losses_of(const Objective& objective, const at::Tensor& prediction,
                      const DiffusedBatch& batch, const std::optional<at::Tensor>& mask);

}  // namespace sdtune
