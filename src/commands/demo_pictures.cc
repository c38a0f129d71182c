#include "commands/demo_pictures.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "base/philox.h"

namespace sdtune {

namespace {

struct Colour {
  const char* name;
  std::array<uint8_t, 3> rgb;
};

constexpr Colour kShapeColours[] = {{"red", {214, 40, 40}},     {"green", {42, 157, 80}},
                                    {"blue", {38, 84, 196}},    {"yellow", {247, 197, 37}},
                                    {"purple", {123, 44, 191}}, {"orange", {244, 122, 24}}};
constexpr Colour kGrounds[] = {
    {"white", {250, 250, 247}}, {"black", {24, 24, 28}}, {"grey", {150, 152, 156}}};
constexpr const char* kShapes[] = {"circle", "square", "triangle"};
constexpr std::array<int, 2> kSizes[] = {{128, 128}, {192, 128}, {128, 192}, {192, 64}};

// Whether the point lies in the shape of radius 1 around the origin; y points down.
bool inside(const std::string& shape, double x, double y) {
  if (shape == "circle") return x * x + y * y <= 1;
  if (shape == "square") return std::max(std::abs(x), std::abs(y)) <= 0.8;
  return y <= 0.8 && y >= 2 * std::abs(x) - 1;
}

// The share of a pixel that the shape covers, from 4 x 4 points.
double coverage(const std::string& shape, double x, double y, double radius) {
  int hits = 0;
  for (int i = 0; i < 16; ++i) {
    const double dx = (i % 4 + 0.5) / 4, dy = (i / 4 + 0.5) / 4;
    hits += inside(shape, (x + dx) / radius, (y + dy) / radius);
  }
  return hits / 16.0;
}

}  // namespace

DemoPicture draw_demo_picture(uint64_t number) {
  Random random(0, Draw::kDemo, number);
  const Colour& colour = kShapeColours[random.below(std::size(kShapeColours))];
  const Colour& ground = kGrounds[random.below(std::size(kGrounds))];
  const std::string shape = kShapes[random.below(std::size(kShapes))];
  const auto [width, height] = kSizes[random.below(std::size(kSizes))];
  const double radius = std::min(width, height) * (0.25 + 0.2 * random.uniform());
  const double centre_x = radius + (width - 2 * radius) * random.uniform();
  const double centre_y = radius + (height - 2 * radius) * random.uniform();

  DemoPicture picture;
  picture.image.width = width;
  picture.image.height = height;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double share = coverage(shape, x - centre_x, y - centre_y, radius);
      for (int c = 0; c < 3; ++c) {
        const double value = share * colour.rgb[c] + (1 - share) * ground.rgb[c];
        picture.image.rgb.push_back(static_cast<uint8_t>(std::lround(value)));
      }
    }
  }
  picture.caption = fmt::format("a {} {} on a {} background", colour.name, shape, ground.name);
  picture.tags = fmt::format("{}, {}, {} background", colour.name, shape, ground.name);
  return picture;
}

}  // namespace sdtune
