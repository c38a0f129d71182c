#include "image/augment.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/numbers.h"
#include "image/resize.h"

namespace sdtune {
namespace {

constexpr double kColourChance = 0.33;
constexpr double kLargestHueShift = 16;  // degrees
constexpr double kLowestGamma = 0.95;
constexpr double kHighestGamma = 1.05;
constexpr int kSmallestMovedFace = 40;  // pixels

double between(double low, double high, Random& random) {
  return low + (high - low) * random.uniform();
}

// The hue of a pixel that is not grey, in sixths of the circle: 0 is red, 2 green, 4 blue.
float hue_of(const uint8_t* rgb, int most, int range) {
  const auto share = [&](int a, int b) {
    return static_cast<float>(a - b) / static_cast<float>(range);
  };
  if (rgb[0] == most) return share(rgb[1], rgb[2]);
  if (rgb[1] == most) return 2.0f + share(rgb[2], rgb[0]);
  return 4.0f + share(rgb[0], rgb[1]);
}

// How far below the largest channel a channel lies, from 0 to 1, `distance` sixths from its own
// hue.
float depth_at(float distance) {
  distance = std::abs(distance - 6.0f * std::round(distance / 6.0f));
  return std::clamp(distance - 1.0f, 0.0f, 1.0f);
}

double draw_scale(Size picture, int face_length, const FaceCropOptions& options, Random& random) {
  const Size target = options.target;
  const double side = std::min(target.width, target.height);
  const double covers = std::max(static_cast<double>(target.height) / picture.height,
                                 static_cast<double>(target.width) / picture.width);
  const double low = std::min(1.0, std::max(covers, side / (face_length * options.high)));
  const double high = std::min(1.0, std::max(low, side / (face_length * options.low)));
  return between(low, high, random);
}

// A whole number in [-reach, reach].
int draw_offset(int reach, Random& random) {
  return static_cast<int>(random.below(2 * uint64_t(reach) + 1)) - reach;
}

// Where the crop begins on one axis of `length` pixels; `reach` is how far a face may be moved when
// crops are not random.
int draw_start(int face, int target, int length, std::optional<int> reach, Random& random) {
  int64_t start = int64_t{face} - target / 2;
  if (reach) {
    if (*reach > 0) start += draw_offset(*reach, random);
  } else {
    const uint64_t range = std::max(length - face, face);
    start += static_cast<int64_t>(random.below(range + 1));
    start += static_cast<int64_t>(random.below(range + 1)) - static_cast<int64_t>(range);
  }
  return static_cast<int>(std::clamp<int64_t>(start, 0, length - target));
}

int scaled(int length, double scale) { return static_cast<int>(length * scale + 0.5); }

void check(Size picture, const Face& face, const FaceCropOptions& options) {
  const Size target = options.target;
  if (!(options.low > 0) || !(options.high >= options.low) || !std::isfinite(options.high)) {
    throw Error(
        fmt::format("the range {} to {} is none for a face crop", options.low, options.high),
        "face_crop_aug_range", "Give two numbers above 0, the lower first.");
  }
  if (target.width < 1 || target.height < 1 || picture.width < target.width ||
      picture.height < target.height) {
    throw Error(fmt::format("a picture of {} x {} pixels is too small for a crop of {} x {}",
                            picture.width, picture.height, target.width, target.height),
                "", "Leave it out, or lower the resolution.");
  }
  if (face.width < 1 || face.height < 1 || face.centre_x < 0 || face.centre_y < 0 ||
      face.centre_x > picture.width || face.centre_y > picture.height) {
    throw Error(fmt::format("the face of {} x {} pixels at ({}, {}) does not lie in {} x {} pixels",
                            face.width, face.height, face.centre_x, face.centre_y, picture.width,
                            picture.height),
                "", "Correct the four numbers at the end of the file's name.");
  }
}

}  // namespace

ColourChange draw_colour_change(Random& random) {
  const double whether = random.uniform(), which = random.uniform(), share = random.uniform();
  ColourChange change;
  if (whether >= kColourChance) return change;
  if (which < 0.5) {
    change.hue_degrees = kLargestHueShift * (2 * share - 1);
  } else {
    change.gamma = kLowestGamma + (kHighestGamma - kLowestGamma) * share;
  }
  return change;
}

void shift_hue(Image& image, double degrees) {
  const auto turn = static_cast<float>(std::remainder(degrees, 360.0) / 60.0);
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    uint8_t* rgb = &image.rgb[i];
    const int most = std::max({rgb[0], rgb[1], rgb[2]});
    const int range = most - std::min({rgb[0], rgb[1], rgb[2]});
    if (range == 0) continue;
    const float hue = hue_of(rgb, most, range) + turn;
    for (int c = 0; c < 3; ++c) {
      const float depth = depth_at(hue - 2.0f * static_cast<float>(c));
      const float value = static_cast<float>(most) - static_cast<float>(range) * depth;
      rgb[c] = static_cast<uint8_t>(value + 0.5f);
    }
  }
}

void apply_gamma(Image& image, double gamma) {
  std::array<uint8_t, 256> table;
  for (int value = 0; value < 256; ++value) {
    table[value] = static_cast<uint8_t>(std::min(std::pow(value, gamma), 255.0));
  }
  for (uint8_t& value : image.rgb) value = table[value];
}

void augment_colour(Image& image, Random& random) {
  const ColourChange change = draw_colour_change(random);
  if (change.hue_degrees != 0) shift_hue(image, change.hue_degrees);
  if (change.gamma != 1) apply_gamma(image, change.gamma);
}

std::optional<Face> face_of_stem(std::string_view stem) {
  std::array<int, 4> numbers;
  for (int i = 3; i >= 0; --i) {
    const size_t bar = stem.rfind('_');
    if (bar == std::string_view::npos) return std::nullopt;
    const auto number = number_in<int>(stem.substr(bar + 1));
    if (!number || *number < 0) return std::nullopt;
    numbers[i] = *number;
    stem = stem.substr(0, bar);
  }
  if (numbers[2] == 0 || numbers[3] == 0) return std::nullopt;
  return Face{numbers[0], numbers[1], numbers[2], numbers[3]};
}

FaceCrop draw_face_crop(Size picture, const Face& face, const FaceCropOptions& options,
                        Random& random) {
  check(picture, face, options);
  const Size target = options.target;
  const int face_length = std::max(face.width, face.height);
  const double scale = draw_scale(picture, face_length, options, random);
  FaceCrop crop;
  crop.resized = {std::max(target.width, scaled(picture.width, scale)),
                  std::max(target.height, scaled(picture.height, scale))};
  std::optional<int> reach;
  if (!options.random_crop) {
    const int side = std::min(target.width, target.height);
    const bool moves =
        options.low != options.high && face_length > side / 10 && face_length >= kSmallestMovedFace;
    reach = moves ? face_length / 20 : 0;
  }
  crop.y =
      draw_start(scaled(face.centre_y, scale), target.height, crop.resized.height, reach, random);
  crop.x =
      draw_start(scaled(face.centre_x, scale), target.width, crop.resized.width, reach, random);
  return crop;
}

Image crop_to_face(const Image& image, const Face& face, const FaceCropOptions& options,
                   Random& random) {
  const FaceCrop part = draw_face_crop(image.size(), face, options, random);
  const Image resized =
      resize(image, part.resized.width, part.resized.height, Interpolation::kArea);
  return crop(resized, part.x, part.y, options.target.width, options.target.height);
}

}  // namespace sdtune
