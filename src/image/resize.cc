#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numbers>
#include <opencv2/imgproc.hpp>

#include "base/error.h"

namespace sdtune {
namespace {

constexpr int kFractionBits = 22;  // of the fixed-point weights: 255 times their sum fits 31 bits
constexpr double kLobes = 3.0;

double lanczos(double x) {
  if (x == 0.0) return 1.0;
  if (std::abs(x) >= kLobes) return 0.0;
  const double t = std::numbers::pi * x;
  return kLobes * std::sin(t) * std::sin(t / kLobes) / (t * t);
}

// For each output position the first source position it draws on and the weights from there.
struct Taps {
  struct Position {
    int first = 0;
    std::vector<int32_t> weights;
  };
  std::vector<Position> positions;
};

Taps lanczos_taps(int source, int target) {
  const double scale = static_cast<double>(source) / target;
  const double spread = std::max(scale, 1.0);
  Taps taps;
  taps.positions.resize(target);
  std::vector<double> weights;
  for (int i = 0; i < target; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - kLobes * spread + 0.5));
    const int end = std::min(source, static_cast<int>(centre + kLobes * spread + 0.5));
    weights.clear();
    double sum = 0.0;
    for (int s = first; s < end; ++s) {
      weights.push_back(lanczos((s - centre + 0.5) * (1.0 / spread)));
      sum += weights.back();
    }
    auto& position = taps.positions[i];
    position.first = first;
    for (double weight : weights) {
      position.weights.push_back(
          static_cast<int32_t>(std::lround(weight / sum * (1 << kFractionBits))));
    }
  }
  return taps;
}

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

Image resize_rows(const Image& image, int width) {
  const Taps taps = lanczos_taps(image.width, width);
  Image out(width, image.height);
  for (int y = 0; y < image.height; ++y) {
    const uint8_t* row = &image.rgb[size_t{3} * y * image.width];
    uint8_t* to = &out.rgb[size_t{3} * y * width];
    for (const auto& position : taps.positions) {
      int32_t sum[3] = {1 << (kFractionBits - 1), 1 << (kFractionBits - 1),
                        1 << (kFractionBits - 1)};
      const uint8_t* from = row + size_t{3} * position.first;
      for (int32_t weight : position.weights) {
        for (int c = 0; c < 3; ++c) sum[c] += weight * *from++;
      }
      for (int c = 0; c < 3; ++c) *to++ = to_byte(sum[c]);
    }
  }
  return out;
}

Image resize_columns(const Image& image, int height) {
  const Taps taps = lanczos_taps(image.height, height);
  Image out(image.width, height);
  const size_t stride = size_t{3} * image.width;
  std::vector<int32_t> sums(stride);
  for (int y = 0; y < height; ++y) {
    const auto& position = taps.positions[y];
    std::fill(sums.begin(), sums.end(), 1 << (kFractionBits - 1));
    for (size_t k = 0; k < position.weights.size(); ++k) {
      const uint8_t* from = &image.rgb[(position.first + k) * stride];
      const int32_t weight = position.weights[k];
      for (size_t i = 0; i < stride; ++i) sums[i] += weight * from[i];
    }
    std::transform(sums.begin(), sums.end(), &out.rgb[y * stride], to_byte);
  }
  return out;
}

// Rows before columns, rounded to bytes between: the order decides the last bit.
Image resize_lanczos(const Image& image, int width, int height) {
  Image wide;
  const Image* from = &image;
  if (width != image.width) {
    wide = resize_rows(image, width);
    from = &wide;
  }
  return height == image.height ? *from : resize_columns(*from, height);
}

Image resize_area(const Image& image, int width, int height) {
  // The loader's threads each resize their own picture.
  static std::once_flag once;
  std::call_once(once, [] { cv::setNumThreads(0); });
  const cv::Mat from(image.height, image.width, CV_8UC3, const_cast<uint8_t*>(image.rgb.data()));
  Image out(width, height);
  cv::Mat to(height, width, CV_8UC3, out.rgb.data());
  cv::resize(from, to, to.size(), 0, 0, cv::INTER_AREA);
  return out;
}

}  // namespace

Image resize(const Image& image, int width, int height, Interpolation interpolation) {
  if (width < 1 || height < 1 || image.width < 1 || image.height < 1) {
    throw Error(fmt::format("a picture of {} x {} pixels cannot be resized to {} x {}", image.width,
                            image.height, width, height));
  }
  if (image.size() == Size{width, height}) return image;
  if (interpolation == Interpolation::kDefault) {
    const bool grows = width > image.width || height > image.height;
    interpolation = grows ? Interpolation::kLanczos : Interpolation::kArea;
  }
  if (interpolation == Interpolation::kLanczos) return resize_lanczos(image, width, height);
  return resize_area(image, width, height);
}

Image crop(const Image& image, int x, int y, int width, int height) {
  if (x < 0 || y < 0 || width < 1 || height < 1 || x > image.width - width ||
      y > image.height - height) {
    throw Error(fmt::format("the crop {} x {} at ({}, {}) does not lie inside {} x {} pixels",
                            width, height, x, y, image.width, image.height));
  }
  Image out(width, height);
  const size_t bytes = size_t{3} * width;
  for (int row = 0; row < height; ++row) {
    const uint8_t* from = &image.rgb[size_t{3} * (size_t{1} * (y + row) * image.width + x)];
    std::copy(from, from + bytes, &out.rgb[row * bytes]);
  }
  return out;
}

void to_planes(const Image& image, float* out) {
  const size_t pixels = size_t{1} * image.width * image.height;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < pixels; ++i) {
      out[c * pixels + i] = (static_cast<float>(image.rgb[3 * i + c]) / 255.0f - 0.5f) / 0.5f;
    }
  }
}

}  // namespace sdtune
