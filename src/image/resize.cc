#include "image/resize.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "base/error.h"
#include "image/area_resize.h"
#include "image/filter_resize.h"
#include "image/opencv_resize.h"

namespace sdtune {
namespace {

std::vector<uint8_t> resize_pixels(const Pixels& from, Size to, Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::kLanczos:
      return resize_filtered(from, to.width, to.height, Filter::kLanczos);
    case Interpolation::kBox:
      return resize_filtered(from, to.width, to.height, Filter::kBox);
    case Interpolation::kNearest:
      return resize_by_opencv(from, to.width, to.height, cv::INTER_NEAREST_EXACT);
    case Interpolation::kBilinear:
      return resize_by_opencv(from, to.width, to.height, cv::INTER_LINEAR);
    case Interpolation::kBicubic:
      return resize_by_opencv(from, to.width, to.height, cv::INTER_CUBIC);
    case Interpolation::kDefault:
    case Interpolation::kArea:
      break;
  }
  return resize_area(from, to.width, to.height);
}

// `out` [width, channels] rows of the part, taken from `from`.
std::vector<uint8_t> crop_pixels(const Pixels& from, int x, int y, Size part) {
  const size_t bytes = size_t{1} * part.width * from.channels;
  std::vector<uint8_t> out(bytes * part.height);
  for (int row = 0; row < part.height; ++row) {
    std::copy_n(from.row(y + row) + size_t{1} * x * from.channels, bytes, &out[row * bytes]);
  }
  return out;
}

std::vector<uint8_t> mirror_pixels(const Pixels& from) {
  std::vector<uint8_t> out(from.stride() * from.height);
  uint8_t* to = out.data();
  for (int y = 0; y < from.height; ++y) {
    for (int x = from.width - 1; x >= 0; --x) {
      to = std::copy_n(from.row(y) + size_t{1} * x * from.channels, from.channels, to);
    }
  }
  return out;
}

// A picture of `size` whose colours, and alpha where there is one, are what `change` makes of them.
template <class Change>
Image with_each(const Image& image, Size size, Change change) {
  Image out;
  out.width = size.width;
  out.height = size.height;
  out.rgb = change(Pixels{image.rgb.data(), image.width, image.height, 3});
  if (!image.alpha.empty()) {
    out.alpha = change(Pixels{image.alpha.data(), image.width, image.height, 1});
  }
  return out;
}

void check_sides(const Image& image, int width, int height) {
  if (width < 1 || height < 1 || image.width < 1 || image.height < 1) {
    throw Error(fmt::format("a picture of {} x {} pixels cannot be resized to {} x {}", image.width,
                            image.height, width, height));
  }
}

}  // namespace

Interpolation resolved(Interpolation interpolation, Size from, Size to) {
  if (interpolation != Interpolation::kDefault) return interpolation;
  const bool grows = to.width > from.width || to.height > from.height;
  return grows ? Interpolation::kLanczos : Interpolation::kArea;
}

Image resize(const Image& image, int width, int height, Interpolation interpolation) {
  check_sides(image, width, height);
  const Size size{width, height};
  if (image.size() == size) return image;
  const Interpolation choice = resolved(interpolation, image.size(), size);
  return with_each(image, size,
                   [&](const Pixels& from) { return resize_pixels(from, size, choice); });
}

Image resize_by_wide_bicubic(const Image& image, int width, int height) {
  check_sides(image, width, height);
  const Size size{width, height};
  if (image.size() == size) return image;
  return with_each(image, size, [&](const Pixels& from) {
    return resize_filtered(from, width, height, Filter::kBicubic);
  });
}

Image crop(const Image& image, int x, int y, int width, int height) {
  if (x < 0 || y < 0 || width < 1 || height < 1 || x > image.width - width ||
      y > image.height - height) {
    throw Error(fmt::format("the crop {} x {} at ({}, {}) does not lie inside {} x {} pixels",
                            width, height, x, y, image.width, image.height));
  }
  const Size part{width, height};
  return with_each(image, part, [&](const Pixels& from) { return crop_pixels(from, x, y, part); });
}

Image mirrored(const Image& image) { return with_each(image, image.size(), mirror_pixels); }

void to_planes(const Image& image, float* out) {
  const size_t pixels = size_t{1} * image.width * image.height;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < pixels; ++i) {
      out[c * pixels + i] = (static_cast<float>(image.rgb[3 * i + c]) / 255.0f - 0.5f) / 0.5f;
    }
  }
}

void to_mask(const Image& image, float* out) {
  const size_t pixels = size_t{1} * image.width * image.height;
  if (image.alpha.empty()) {
    std::fill_n(out, pixels, 1.0f);
  } else {
    std::transform(image.alpha.begin(), image.alpha.end(), out,
                   [](uint8_t value) { return static_cast<float>(value) / 255.0f; });
  }
}

}  // namespace sdtune
