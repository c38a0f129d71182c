#include "data/item_source.h"

#include "base/error.h"
#include "image/decode.h"
#include "image/resize.h"

namespace sdtune {
namespace {

Size resized_size(const Item& item, Size now) {
  if (now == item.size) return item.placement.resized;
  const auto placement = cover(now, item.placement.bucket);
  if (!placement) {
    throw Error(
        fmt::format("the picture has changed to {} x {} pixels, which no longer fit its bucket",
                    now.width, now.height),
        item.image.string());
  }
  return placement->resized;
}

}  // namespace

std::vector<float> load_pixels(const Item& item) {
  const Size bucket = item.placement.bucket;
  Image image = decode_image(item.image);
  const Size resized = resized_size(item, image.size());
  image = resize(image, resized.width, resized.height);
  image = crop(image, (resized.width - bucket.width) / 2, (resized.height - bucket.height) / 2,
               bucket.width, bucket.height);
  std::vector<float> pixels(size_t{3} * bucket.width * bucket.height);
  to_planes(image, pixels.data());
  return pixels;
}

}  // namespace sdtune
