#include "image/filter_resize.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sdtune {
namespace {

constexpr int kFractionBits = 22;  // of the fixed-point weights: 255 times their sum fits 31 bits
constexpr int32_t kHalf = 1 << (kFractionBits - 1);
constexpr double kLobes = 3.0;  // of Lanczos

double lanczos(double x) {
  if (x == 0.0) return 1.0;
  if (std::abs(x) >= kLobes) return 0.0;
  const double t = std::numbers::pi * x;
  return kLobes * std::sin(t) * std::sin(t / kLobes) / (t * t);
}

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

double weight_at(Filter filter, double x) {
  switch (filter) {
    case Filter::kLanczos:
      return lanczos(x);
    case Filter::kBicubic:
      return bicubic(x);
    case Filter::kBox:
      break;
  }
  return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

double reach_of(Filter filter) {  // when nothing shrinks
  switch (filter) {
    case Filter::kLanczos:
      return kLobes;
    case Filter::kBicubic:
      return 2.0;
    case Filter::kBox:
      break;
  }
  return 0.5;
}

// The source positions that one target position draws on.
struct Taps {
  int first = 0;
  std::vector<int32_t> weights;
};

std::vector<Taps> make_taps(int source, int target, Filter filter) {
  const double scale = static_cast<double>(source) / target;
  const double spread = std::max(scale, 1.0);
  const double reach = reach_of(filter) * spread;
  std::vector<Taps> taps(target);
  std::vector<double> weights;
  for (int i = 0; i < target; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - reach + 0.5));
    const int end = std::min(source, static_cast<int>(centre + reach + 0.5));
    weights.clear();
    double sum = 0.0;
    for (int s = first; s < end; ++s) {
      weights.push_back(weight_at(filter, (s - centre + 0.5) * (1.0 / spread)));
      sum += weights.back();
    }
    taps[i].first = first;
    for (double weight : weights) {
      taps[i].weights.push_back(
          static_cast<int32_t>(std::lround(weight / sum * (1 << kFractionBits))));
    }
  }
  return taps;
}

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

template <int kChannels>
void resize_row(const uint8_t* row, const std::vector<Taps>& taps, uint8_t* to) {
  for (const Taps& position : taps) {
    int32_t sum[kChannels];
    std::fill_n(sum, kChannels, kHalf);
    const uint8_t* from = row + size_t{kChannels} * position.first;
    for (int32_t weight : position.weights) {
      for (int c = 0; c < kChannels; ++c) sum[c] += weight * *from++;
    }
    for (int c = 0; c < kChannels; ++c) *to++ = to_byte(sum[c]);
  }
}

std::vector<uint8_t> resize_rows(const Pixels& from, int width, Filter filter) {
  const std::vector<Taps> taps = make_taps(from.width, width, filter);
  const size_t stride = size_t{1} * width * from.channels;
  std::vector<uint8_t> out(stride * from.height);
  for (int y = 0; y < from.height; ++y) {
    uint8_t* to = &out[y * stride];
    from.channels == 3 ? resize_row<3>(from.row(y), taps, to)
                       : resize_row<1>(from.row(y), taps, to);
  }
  return out;
}

std::vector<uint8_t> resize_columns(const Pixels& from, int height, Filter filter) {
  const std::vector<Taps> taps = make_taps(from.height, height, filter);
  const size_t stride = from.stride();
  std::vector<uint8_t> out(stride * height);
  std::vector<int32_t> sums(stride);
  for (int y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), kHalf);
    for (size_t k = 0; k < taps[y].weights.size(); ++k) {
      const uint8_t* row = from.row(taps[y].first + static_cast<int>(k));
      const int32_t weight = taps[y].weights[k];
      for (size_t i = 0; i < stride; ++i) sums[i] += weight * row[i];
    }
    std::transform(sums.begin(), sums.end(), &out[y * stride], to_byte);
  }
  return out;
}

}  // namespace

std::vector<uint8_t> resize_filtered(const Pixels& from, int width, int height, Filter filter) {
  if (width == from.width) return resize_columns(from, height, filter);
  std::vector<uint8_t> wide = resize_rows(from, width, filter);
  if (height == from.height) return wide;
  return resize_columns({wide.data(), width, from.height, from.channels}, height, filter);
}

}  // namespace sdtune
