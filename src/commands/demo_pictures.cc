#include "commands/demo_pictures.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <optional>
#include <string_view>

#include "base/philox.h"

namespace sdtune {

namespace {

using Rgb = std::array<uint8_t, 3>;

struct Colour {
  const char* name;
  Rgb rgb;
};

// tests/demo/judge.py knows these colours and places.
constexpr Colour kShapeColours[] = {{"red", {214, 40, 40}},     {"green", {42, 157, 80}},
                                    {"blue", {38, 84, 196}},    {"yellow", {247, 197, 37}},
                                    {"purple", {123, 44, 191}}, {"orange", {244, 122, 24}}};
constexpr Colour kGrounds[] = {{"white", {250, 250, 247}},
                               {"black", {24, 24, 28}},
                               {"grey", {150, 152, 156}},
                               {"pink", {250, 190, 210}}};
constexpr Rgb kCap = {20, 200, 210};
constexpr Rgb kStem = {120, 72, 32};
constexpr const char* kShapes[] = {"circle", "square", "triangle", "diamond"};

// Centres in shares of the picture's sides.
struct Place {
  const char* phrase;
  const char* tag;
  double x, y;
};
constexpr Place kPlaces[] = {{"on the left", "left", 0.27, 0.5},
                             {"on the right", "right", 0.73, 0.5},
                             {"at the top", "top", 0.5, 0.27},
                             {"at the bottom", "bottom", 0.5, 0.73},
                             {"in the middle", "middle", 0.5, 0.5}};
constexpr double kStray = 0.03;  // from a place's centre, in shares of the shorter side

constexpr Size kShapeSize = {128, 128};
constexpr Size kMushroomSizes[] = {{128, 128}, {192, 128}, {128, 192}, {192, 192}};

// Separate streams of draws for the two kinds of picture.
enum Kind : uint64_t { kShapePicture, kMushroomPicture };

template <class T, size_t N>
const T& pick(Random& random, const T (&from)[N]) {
  return from[random.below(N)];
}

// The colour of the thing at this point, nothing beside it. It has radius 1 around the origin; y
// points down.
struct Thing {
  std::string shape;
  Rgb rgb;

  std::optional<Rgb> at(double x, double y) const {
    if (shape == "circle") return when(x * x + y * y <= 1, rgb);
    if (shape == "square") return when(std::max(std::abs(x), std::abs(y)) <= 0.8, rgb);
    if (shape == "triangle") return when(y <= 0.8 && y >= 2 * std::abs(x) - 1, rgb);
    if (shape == "diamond") return when(std::abs(x) + std::abs(y) <= 1.1, rgb);
    if (y <= 0) return when(x * x + y * y <= 1, kCap);
    return when(y <= 1 && std::abs(x) <= 0.45, kStem);
  }

 private:
  static std::optional<Rgb> when(bool inside, const Rgb& rgb) {
    return inside ? std::optional(rgb) : std::nullopt;
  }
};

struct Scene {
  Thing thing;
  Rgb ground;
  double x, y, radius;  // pixels
};

Scene place_thing(Random& random, Size size, const Thing& thing, const Rgb& ground,
                  const Place& place) {
  const double side = std::min(size.width, size.height);
  const double stray = side * kStray;
  return {.thing = thing,
          .ground = ground,
          .x = place.x * size.width + stray * (2 * random.uniform() - 1),
          .y = place.y * size.height + stray * (2 * random.uniform() - 1),
          .radius = side * (0.17 + 0.05 * random.uniform())};
}

// Each pixel is the mean of 4 x 4 points.
Image draw(const Scene& scene, Size size) {
  Image image(size.width, size.height);
  uint8_t* out = image.rgb.data();
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      std::array<int, 3> sum = {};
      for (int i = 0; i < 16; ++i) {
        const double px = x + (i % 4 + 0.5) / 4, py = y + (i / 4 + 0.5) / 4;
        const Rgb rgb = scene.thing.at((px - scene.x) / scene.radius, (py - scene.y) / scene.radius)
                            .value_or(scene.ground);
        for (int c = 0; c < 3; ++c) sum[c] += rgb[c];
      }
      for (int c = 0; c < 3; ++c) *out++ = static_cast<uint8_t>((sum[c] + 8) / 16);
    }
  }
  return image;
}

}  // namespace

DemoPicture draw_shape_picture(uint64_t number, ShapeWords words) {
  Random random(kShapePicture, Draw::kDemo, number);
  const Colour& colour = pick(random, kShapeColours);
  const Colour& ground = pick(random, kGrounds);
  const std::string shape = pick(random, kShapes);
  const Place& place = pick(random, kPlaces);
  const Scene scene = place_thing(random, kShapeSize, {shape, colour.rgb}, ground.rgb, place);

  DemoPicture picture{.image = draw(scene, kShapeSize), .caption = {}, .tags = {}};
  const uint64_t kind = words == ShapeWords::kBoth ? 2 : random.below(3);
  if (kind != 1) {
    const char* article = colour.name == std::string_view("orange") ? "an" : "a";
    picture.caption = fmt::format("{} {} {} {}, {} background", article, colour.name, shape,
                                  place.phrase, ground.name);
  }
  if (kind != 0) {
    picture.tags =
        fmt::format("{}, {}, {}, {} background", colour.name, shape, place.tag, ground.name);
  }
  return picture;
}

DemoPicture draw_mushroom_picture(uint64_t number) {
  Random random(kMushroomPicture, Draw::kDemo, number);
  const Size size = pick(random, kMushroomSizes);
  const Colour& ground = pick(random, kGrounds);
  const Place& place = pick(random, kPlaces);
  const Scene scene = place_thing(random, size, {"mushroom", {}}, ground.rgb, place);
  return {.image = draw(scene, size),
          .caption = fmt::format("a cyan mushroom {}, {} background", place.phrase, ground.name),
          .tags = fmt::format("cyan, mushroom, {}, {} background", place.tag, ground.name)};
}

}  // namespace sdtune
