#include "annotate/blip_pixels.h"

#include <array>

#include "image/resize.h"

namespace sdtune {
namespace {

// Of CLIP's training pictures (Radford et al., "Learning transferable visual models from natural
// language supervision", 2021).
constexpr std::array<float, 3> kMean = {0.48145466f, 0.4578275f, 0.40821073f};
constexpr std::array<float, 3> kDeviation = {0.26862954f, 0.26130258f, 0.27577711f};

}  // namespace

Image blip_square(const Image& image, int side) {
  return resize_by_wide_bicubic(image, side, side);
}

void to_blip_planes(const Image& image, float* out) {
  const size_t pixels = size_t{1} * image.width * image.height;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < pixels; ++i) {
      const float value = static_cast<float>(image.rgb[3 * i + c]) / 255.0f;
      out[c * pixels + i] = (value - kMean[c]) / kDeviation[c];
    }
  }
}

}  // namespace sdtune
