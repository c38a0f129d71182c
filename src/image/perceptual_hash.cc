#include "image/perceptual_hash.h"

#include <bit>

#include "image/resize.h"

namespace sdtune {
namespace {

constexpr int kColumns = 9;
constexpr int kRows = 8;

int luma(const uint8_t* rgb) { return 299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2]; }

}  // namespace

uint64_t perceptual_hash(const Image& image) {
  const bool shrinks = image.width >= kColumns && image.height >= kRows;
  const auto how = shrinks ? Interpolation::kArea : Interpolation::kBox;
  const Image means = resize(image, kColumns, kRows, how);
  uint64_t hash = 0;
  for (int y = 0; y < kRows; ++y) {
    for (int x = 0; x + 1 < kColumns; ++x) {
      const uint8_t* mean = &means.rgb[3 * (y * kColumns + x)];
      hash = hash << 1 | (luma(mean) < luma(mean + 3) ? 1 : 0);
    }
  }
  return hash;
}

int hash_distance(uint64_t a, uint64_t b) { return std::popcount(a ^ b); }

}  // namespace sdtune
