// The VAE as the latent cache wants it: pictures to the posterior's moments, and a fingerprint of
// the weights that make them. Pictures are encoded whole, as nothing is to be learned from where
// tiles were joined.
#pragma once

#include <ATen/core/Tensor.h>

#include "data/latent_encoding.h"
#include "models/autoencoder_kl.h"
#include "models/stable_diffusion.h"

namespace sdtune {

// Reads the source's VAE onto the device, frozen, to compute in `type`.
AutoencoderKL load_frozen_vae(const ModelSource& source, at::ScalarType type, at::Device device);

// What to do about latents that are not finite. `fp32_option` has the VAE compute in fp32.
std::string hint_for_latents(at::ScalarType vae_type, const std::string& fp32_option);

// The VAE must outlive the encoder. The fingerprint is a hash of the encoder's weights as the
// source holds them, so it does not depend on the type that the VAE computes in. `fp32_option`: the
// command's, for hints.
LatentEncoder latent_encoder(const AutoencoderKL& vae, const ModelSource& source, at::Device device,
                             const std::string& fp32_option);

}  // namespace sdtune
