#include "data/item_source.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/philox.h"
#include "image/augment.h"
#include "image/decode.h"
#include "image/resize.h"

namespace sdtune {
namespace {

// Whether `now` is `known`, or `known` shrunk on load.
bool is_same_picture(Size now, Size known) {
  for (const int factor : {1, 2, 4, 8}) {
    const Size shrunk{(known.width + factor - 1) / factor, (known.height + factor - 1) / factor};
    if (std::abs(now.width - shrunk.width) <= 1 && std::abs(now.height - shrunk.height) <= 1) {
      return factor > 1 || now == known;
    }
  }
  return false;
}

// The placement of the picture as it is now.
Placement current_placement(const Item& item, Size now) {
  if (now == item.placement.resized || is_same_picture(now, item.size)) return item.placement;
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

// The bucket's part around the face that the file's name tells; none where there is no face, or the
// picture would have to grow.
std::optional<Image> cropped_to_face(const Image& image, const Item& item,
                                     const SubsetOptions& subset, uint64_t seed) {
  const Size bucket = item.placement.bucket;
  const auto face = face_of_stem(item.image.stem().string());
  if (!face || image.width < bucket.width || image.height < bucket.height) return std::nullopt;
  Random random(seed, Draw::kAugment);
  return crop_to_face(image, *face,
                      {bucket, subset.face_crop_aug_range->low, subset.face_crop_aug_range->high,
                       subset.random_crop},
                      random);
}

Image fitted(const Image& image, const Item& item, const SubsetOptions& subset,
             const AugmentDraws& draws) {
  if (subset.face_crop_aug_range) {
    if (auto cropped = cropped_to_face(image, item, subset, draws.crop_seed)) return *cropped;
  }
  const auto [bucket, resized] = current_placement(item, image.size());
  const Image whole = resize(image, resized.width, resized.height, subset.resize_interpolation);
  const int excess_x = resized.width - bucket.width;
  const int excess_y = resized.height - bucket.height;
  const int x = subset.random_crop ? part_of(excess_x, draws.x) : excess_x / 2;
  const int y = subset.random_crop ? part_of(excess_y, draws.y) : excess_y / 2;
  return crop(whole, x, y, bucket.width, bucket.height);
}

std::vector<float> load_mask(const Appearance& appearance) {
  const auto& [item, subset, seed, epoch, repeat] = appearance;
  const AugmentDraws draws = augment_draws(appearance);
  Image mask = decode_image(item.mask);
  mask = resize(mask, item.size.width, item.size.height, subset.resize_interpolation);
  mask = fitted(mask, item, subset, draws);
  if (subset.flip_aug && draws.flip) mask = mirrored(mask);
  std::vector<float> values(size_t{1} * mask.width * mask.height);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(mask.rgb[3 * i]) / 255;
  return values;
}

}  // namespace

AugmentDraws augment_draws(const Appearance& appearance) {
  Random random(appearance.seed, Draw::kAugment, static_cast<uint64_t>(appearance.epoch),
                appearance.item.id, static_cast<uint64_t>(appearance.repeat));
  AugmentDraws draws;
  draws.flip = random.uniform() < 0.5;
  draws.x = random.uniform();
  draws.y = random.uniform();
  draws.crop_seed = (uint64_t{random.next()} << 32) | random.next();
  draws.colour_seed = (uint64_t{random.next()} << 32) | random.next();
  return draws;
}

SampleValues load_pixels(const Appearance& appearance, bool fast_decode) {
  const auto& [item, subset, seed, epoch, repeat] = appearance;
  const AugmentDraws draws = augment_draws(appearance);
  DecodeOptions decode;
  decode.keep_alpha = subset.alpha_mask;
  if (!subset.face_crop_aug_range) {
    const Size resized = item.placement.resized;
    if (fast_decode) decode.at_least = resized;
    if (resolved(subset.resize_interpolation, item.size, resized) == Interpolation::kArea) {
      decode.then = AreaResize{item.size, resized};
    }
  }
  Image image = decode_image(item.image, decode);
  image = fitted(image, item, subset, draws);
  if (subset.flip_aug && draws.flip) image = mirrored(image);
  if (subset.color_aug) {
    Random random(draws.colour_seed, Draw::kAugment);
    augment_colour(image, random);
  }
  SampleValues values;
  values.pixels.resize(size_t{3} * image.width * image.height);
  to_planes(image, values.pixels.data());
  if (subset.alpha_mask) {
    values.alpha_mask.resize(size_t{1} * image.width * image.height);
    to_mask(image, values.alpha_mask.data());
  }
  return values;
}

ItemSource pixel_source(bool fast_decode) {
  return
      [fast_decode](const Appearance& appearance) { return load_pixels(appearance, fast_decode); };
}

ItemSource masked_source(ItemSource source) {
  return [source = std::move(source)](const Appearance& appearance) {
    SampleValues values = source(appearance);
    if (!appearance.item.mask.empty()) values.alpha_mask = load_mask(appearance);
    return values;
  };
}

}  // namespace sdtune
