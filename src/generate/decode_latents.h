// Latents to pictures and back, for drawing. Large pictures are decoded and encoded in overlapping
// tiles that are blended, so that memory does not grow with the picture. What is trained on is
// encoded whole (train/latent_encoder.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "image/image.h"
#include "models/autoencoder_kl.h"

namespace sdtune {

inline constexpr int kLatentSide = 8;  // pixels of one latent's side

struct VaeSettings {
  int64_t batch = 0;   // pictures at once; 0: all
  int64_t slices = 0;  // tiles along the longer side, none under 64 latents; 0: tiles of 128 where
                       // a side is over 192
};

// latents [B, 4, h, w], scaled -> B pictures of 8h x 8w. Where the VAE gives what is not finite the
// picture is black, and one warning says so.
std::vector<Image> decode_latents(const AutoencoderKL& vae, const at::Tensor& latents,
                                  const VaeSettings& settings);

// Pictures of one size, whose sides are multiples of 8 -> scaled latents [B, 4, H/8, W/8] fp32 on
// the VAE's device: the mean of the posterior.
at::Tensor encode_pictures(const AutoencoderKL& vae, std::span<const Image> pictures,
                           const VaeSettings& settings);

// [1, 1, height, width] fp32 in [0, 1]: how much of a white mask covers each latent.
at::Tensor mask_of_latents(const Image& mask, int64_t height, int64_t width);

// Where tiles of this length begin so that they cover `length`: evenly, a quarter of a tile or more
// lying over the next one. {0} where one tile covers all.
std::vector<int64_t> tile_starts(int64_t length, int64_t tile);

}  // namespace sdtune
