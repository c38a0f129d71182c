// Pictures through the VAE's encoder: decoded ahead of it and written behind it on threads, so that
// the encoder never waits. Where latents are kept is decided by the caller (latent_cache.h).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image_index.h"
#include "data/latent_file.h"

namespace sdtune {

// [B, 4, height / 8, width / 8] each.
struct LatentMoments {
  std::vector<float> mean, logvar;
};

struct LatentEncoder {
  std::string fingerprint;  // other weights, another fingerprint
  // pixels [count, 3, size.height, size.width] in [-1, 1].
  std::function<LatentMoments(std::span<const float> pixels, int64_t count, Size size)> encode;
  std::string hint = "";  // what to do when latents are not finite
};

struct EncodingOptions {
  int64_t batch_size = 1;
  bool posterior = false;  // keep mean and log-variance beside the sample
  bool fast_decode = false;
  int threads = 4;
  ImageIndex* index = nullptr;  // where hashes of pictures are remembered; may be null
};

struct EncodedItem {
  size_t item = 0;  // index into Dataset::items
  std::string image_hash;
  LatentEntry entry;
};

struct EncodingReport {
  int64_t encoded = 0;
  int64_t failed = 0;
};

// mean + exp(logvar / 2) * noise with noise from `random`, as Diffusers'
// DiagonalGaussianDistribution.
std::vector<float> sample_posterior(std::span<const float> mean, std::span<const float> logvar,
                                    Random& random);

// Error with the picture's name where its latents are not finite.
void check_finite(std::span<const float> latents, const Item& item, const std::string& hint);

// Rows of a [planes, height, width] array from right to left.
std::vector<float> mirrored_planes(std::vector<float> values, size_t width);

// Encodes the items in batches of one shape, the largest first, and gives each to `keep`, which
// runs on several threads. The sample's noise is a function of the picture's bytes and bucket
// alone. A picture that cannot be read is named in a warning and counted. Ends early on a stop
// signal. Throws what the encoder and `keep` throw, and Error with the picture's name when latents
// are not finite.
EncodingReport encode_items(const Dataset& dataset, const std::vector<size_t>& items,
                            const LatentEncoder& encoder, const EncodingOptions& options,
                            const std::function<void(EncodedItem)>& keep);

}  // namespace sdtune
