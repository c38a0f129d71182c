// Prompts to pictures: classifier-free guidance (Ho & Salimans 2022) over a sampler's steps, from
// noise or from a picture, whole or behind a mask. A picture is a function of its request alone:
// what it shares a batch with changes no more than the last digits of the arithmetic.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "diffusion/noise_schedule.h"
#include "generate/decode_latents.h"
#include "generate/picture_request.h"
#include "generate/prompt_states.h"
#include "models/autoencoder_kl.h"
#include "models/unet_2d_condition.h"

namespace sdtune {

struct PictureModels {
  const UNet2DConditionModel& unet;
  const AutoencoderKL& vae;
  PromptEncoder text;
  bool predicts_v = false;
  NoiseSchedule schedule;  // on the CPU
  at::Device device;
};

// Noise that is more than white at the start, for a share of the pictures (sd-scripts'
// --noise_offset_prob and --pyramid_noise_prob). Whether and how strong is drawn from each
// picture's seed.
struct NoiseChance {
  double offset_probability = 0;
  std::pair<double, double> offset{0.05, 0.15};
  double pyramid_probability = 0;
  std::pair<double, double> pyramid_discount{0.2, 0.4};
};

struct DrawSettings {
  NoiseChance noise;
  VaeSettings vae;
  int64_t batch_size = 1;
  int steps_offset = 1;  // of ddim's and pndm's timesteps
  // Asked before each evaluation of the U-Net; false ends the drawing.
  std::function<bool()> goes_on = [] { return true; };
};

// Where a batch begins instead of at noise alone.
struct Canvas {
  at::Tensor latents;  // [B, 4, h, w], scaled; undefined: noise alone
  at::Tensor repaint;  // [B, 1, h, w], 1 where it is painted over, 0 where it stays; or undefined
};

// How many requests from the front can be drawn together: of one size, sampler, number of steps,
// guidance and strength, at most settings.batch_size. At least 1 where there is one.
size_t batch_at_front(const PictureModels& models, const DrawSettings& settings,
                      std::span<const PictureRequest> requests);

// Latents [B, 4, h, w], scaled, of requests that batch_at_front() puts together. Undefined when
// goes_on() ended it.
at::Tensor draw_latents(const PictureModels& models, const DrawSettings& settings,
                        std::span<const PictureRequest> batch, const Canvas& canvas = {});

// What the requests' `start` and `mask` make of the canvas.
Canvas canvas_of(const PictureModels& models, const DrawSettings& settings,
                 std::span<const PictureRequest> batch);

// The pictures of a batch; none when goes_on() ended it.
std::vector<Image> draw_pictures(const PictureModels& models, const DrawSettings& settings,
                                 std::span<const PictureRequest> batch);

}  // namespace sdtune
