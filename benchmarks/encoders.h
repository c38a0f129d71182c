// The frozen models at work, with random weights: what encoding pictures and captions costs.
#pragma once

#include <functional>

#include "bench_device.h"
#include "bench_job.h"

namespace sdtune {

// A function that encodes one batch of pictures [batch, 3, height, width] with the whole VAE's
// encoder, set up as training sets it up.
std::function<void()> picture_encoding(const BenchJob& job, c10::Device device);

// A function that encodes `batch` captions of 77 tokens with CLIP-L's text encoder.
std::function<void()> caption_encoding(const BenchJob& job, c10::Device device);

}  // namespace sdtune
