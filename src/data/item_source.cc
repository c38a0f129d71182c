#include "data/item_source.h"

#include <algorithm>

#include "base/error.h"
#include "base/philox.h"
#include "image/augment.h"
#include "image/decode.h"
#include "image/resize.h"

namespace sdtune {
namespace {

// The placement of the picture as it is now.
Placement current_placement(const Item& item, Size now) {
  if (now == item.size) return item.placement;
  const auto placement = cover(now, item.placement.bucket);
  if (!placement) {
    throw Error(
        fmt::format("the picture has changed to {} x {} pixels, which no longer fit its bucket",
                    now.width, now.height),
        item.image.string());
  }
  return *placement;
}

int part_of(int excess, double share) {
  return std::min(excess, static_cast<int>(share * (excess + 1)));
}

Image fitted(const Image& image, const Placement& placement, const SubsetOptions& subset,
             const AugmentDraws& draws) {
  const auto [bucket, resized] = placement;
  const Image whole = resize(image, resized.width, resized.height, subset.resize_interpolation);
  const int excess_x = resized.width - bucket.width;
  const int excess_y = resized.height - bucket.height;
  const int x = subset.random_crop ? part_of(excess_x, draws.x) : excess_x / 2;
  const int y = subset.random_crop ? part_of(excess_y, draws.y) : excess_y / 2;
  return crop(whole, x, y, bucket.width, bucket.height);
}

}  // namespace

AugmentDraws augment_draws(const Appearance& appearance) {
  Random random(appearance.seed, Draw::kAugment, static_cast<uint64_t>(appearance.epoch),
                appearance.item.id, static_cast<uint64_t>(appearance.repeat));
  AugmentDraws draws;
  draws.flip = random.uniform() < 0.5;
  draws.x = random.uniform();
  draws.y = random.uniform();
  draws.colour_seed = (uint64_t{random.next()} << 32) | random.next();
  return draws;
}

SampleValues load_pixels(const Appearance& appearance, bool fast_decode) {
  const auto& [item, subset, seed, epoch, repeat] = appearance;
  const AugmentDraws draws = augment_draws(appearance);
  DecodeOptions decode;
  decode.keep_alpha = subset.alpha_mask;
  if (fast_decode) decode.at_least = item.placement.resized;
  Image image = decode_image(item.image, decode);
  // A picture that was shrunk on load keeps the placement of its full size.
  const Placement placement =
      fast_decode ? item.placement : current_placement(item, image.size());
  image = fitted(image, placement, subset, draws);
  if (subset.flip_aug && draws.flip) image = mirrored(image);
  if (subset.color_aug) {
    Random random(draws.colour_seed, Draw::kAugment);
    augment_colour(image, random);
  }
  SampleValues values;
  values.pixels.resize(size_t{3} * image.width * image.height);
  to_planes(image, values.pixels.data());
  if (subset.alpha_mask) values.alpha_mask = alpha_plane(image);
  return values;
}

}  // namespace sdtune
