#include "annotate/tag_pixels.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "image/resize.h"

namespace sdtune {
namespace {

constexpr int kLongest = 8192;

Image shortened(const Image& image) {
  const int longer = std::max(image.width, image.height);
  if (longer <= kLongest) return image;
  const auto scaled = [&](int size) {
    return std::max(1, static_cast<int>(std::lround(1.0 * size * kLongest / longer)));
  };
  return resize(image, scaled(image.width), scaled(image.height), Interpolation::kArea);
}

// The share that one pixel has in another one, along an axis.
struct Share {
  int from = 0;
  int to = 0;
  float weight = 0;
};

// Pixel `k` of `length` resized to `scaled` by area.
void add_area(int length, int scaled, Share share, std::vector<Share>& shares) {
  const int k = std::clamp(share.from, 0, scaled - 1);
  const double begin = 1.0 * k * length / scaled;
  const double end = (k + 1.0) * length / scaled;
  for (int i = static_cast<int>(begin); i < length && i < end; ++i) {
    const double covered = std::min<double>(i + 1, end) - std::max<double>(i, begin);
    if (covered <= 0) continue;
    const double part = covered / (end - begin);
    shares.push_back({i, share.to, static_cast<float>(share.weight * part)});
  }
}

// Of an axis of `length` pixels, resized to `scaled` and put into the middle of `side`; by source.
std::vector<Share> axis_shares(int length, int scaled, int side) {
  std::vector<Share> shares;
  for (int to = 0; to < side; ++to) {
    const double place = to - (side - scaled) / 2.0;
    const int low = static_cast<int>(std::floor(place));
    const auto above = static_cast<float>(place - low);
    add_area(length, scaled, {low, to, 1 - above}, shares);
    if (above > 0) add_area(length, scaled, {low + 1, to, above}, shares);
  }
  std::stable_sort(shares.begin(), shares.end(),
                   [](const Share& a, const Share& b) { return a.from < b.from; });
  return shares;
}

std::vector<float> resized_row(const uint8_t* row, const std::vector<Share>& shares, int side) {
  std::vector<float> out(size_t{3} * side);
  for (const Share& share : shares) {
    for (size_t c = 0; c < 3; ++c) {
      out[size_t{3} * share.to + c] +=
          share.weight * static_cast<float>(row[size_t{3} * share.from + c]);
    }
  }
  return out;
}

}  // namespace

Image white_square(const Image& image, int side) {
  const Image picture = shortened(image);
  const int longer = std::max(picture.width, picture.height);
  const int left = (longer - picture.width) / 2;
  const int top = (longer - picture.height) / 2;
  Image square(longer, longer);
  std::fill(square.rgb.begin(), square.rgb.end(), uint8_t{255});
  const size_t bytes = size_t{3} * picture.width;
  for (int y = 0; y < picture.height; ++y) {
    const size_t place = size_t{3} * (size_t{1} * (top + y) * longer + left);
    std::copy_n(&picture.rgb[y * bytes], bytes, &square.rgb[place]);
  }
  return resize(square, side, side);
}

Image edge_square(const Image& image, int side) {
  const double scale = 1.0 * side / std::max(image.width, image.height);
  const auto scaled = [&](int size) {
    return std::max(1, static_cast<int>(std::nearbyint(size * scale)));
  };
  const std::vector<Share> columns = axis_shares(image.width, scaled(image.width), side);
  const std::vector<Share> rows = axis_shares(image.height, scaled(image.height), side);
  std::vector<float> sums(size_t{3} * side * side);
  std::vector<float> line;
  int line_number = -1;
  for (const Share& share : rows) {
    if (share.from != line_number) {
      line_number = share.from;
      line = resized_row(&image.rgb[size_t{3} * line_number * image.width], columns, side);
    }
    float* out = &sums[size_t{3} * share.to * side];
    for (size_t i = 0; i < line.size(); ++i) out[i] += share.weight * line[i];
  }
  Image square(side, side);
  std::transform(sums.begin(), sums.end(), square.rgb.begin(), [](float value) {
    return static_cast<uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
  });
  return square;
}

void to_tagger_numbers(const Image& image, const PixelOrder& order, float* out) {
  const size_t pixels = size_t{1} * image.width * image.height;
  for (size_t c = 0; c < 3; ++c) {
    const size_t source = order.blue_first ? 2 - c : c;
    for (size_t i = 0; i < pixels; ++i) {
      const float value = static_cast<float>(image.rgb[3 * i + source]) / order.divisor;
      out[order.channels_last ? 3 * i + c : c * pixels + i] = value + order.offset;
    }
  }
}

}  // namespace sdtune
