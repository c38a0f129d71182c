#include "data/buckets.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/log.h"

namespace sdtune {
namespace {

constexpr double kMaxExcess = 16.0;  // resized area over bucket area

double ratio(Size size) { return static_cast<double>(size.width) / size.height; }
int64_t area(Size size) { return int64_t{size.width} * size.height; }
int round_half_up(double x) { return static_cast<int>(x + 0.5); }

int rounded_to_step(double x, int step) { return round_half_up(x) / step * step; }

// The size that a picture larger than the allowed area shrinks to, one side on a multiple of the
// step: of the two ways, the one that keeps the proportions better.
Size shrunk_to_area(Size image, int64_t allowed, int step) {
  const double r = ratio(image);
  const double ideal_width = std::sqrt(allowed * r);
  const int width = rounded_to_step(ideal_width, step);
  const int height_of_width = rounded_to_step(width / r, step);
  const int height = rounded_to_step(ideal_width / r, step);
  const int width_of_height = rounded_to_step(height * r, step);
  if (width == 0 || height == 0 || height_of_width == 0 || width_of_height == 0) return {0, 0};
  const double by_width = std::abs(ratio({width, height_of_width}) - r);
  const double by_height = std::abs(ratio({width_of_height, height}) - r);
  if (by_width < by_height) return {width, round_half_up(width / r)};
  return {round_half_up(height * r), height};
}

std::optional<Placement> place_without_upscaling(Size image, const BucketOptions& options) {
  const int64_t allowed = area(options.resolution);
  const int step = options.reso_steps;
  const Size resized = area(image) > allowed ? shrunk_to_area(image, allowed, step) : image;
  const Size bucket{resized.width / step * step, resized.height / step * step};
  if (bucket.width == 0 || bucket.height == 0) return std::nullopt;
  return Placement{bucket, resized};
}

}  // namespace

BucketOptions checked(BucketOptions o) {
  if (o.resolution.width < 8 || o.resolution.height < 8 || o.resolution.width % 8 != 0 ||
      o.resolution.height % 8 != 0) {
    throw UsageError(fmt::format("the resolution {},{} is not made of positive multiples of 8",
                                 o.resolution.width, o.resolution.height),
                     "--resolution", "use multiples of 64, as 512,512");
  }
  if (!o.enable) return o;
  if (o.reso_steps < 64 || o.reso_steps % 64 != 0) {
    throw UsageError(fmt::format("bucket steps of {} are not divisible by 64", o.reso_steps),
                     "--bucket_reso_steps", "use 64 or a multiple of it");
  }
  if (o.no_upscale) return o;
  const auto [shorter, longer] = std::minmax(o.resolution.width, o.resolution.height);
  if (o.min_reso < 1 || o.min_reso > shorter) {
    throw UsageError(fmt::format("a shortest bucket side of {} does not lie between 1 and the "
                                 "resolution's shorter side {}",
                                 o.min_reso, shorter),
                     "--min_bucket_reso");
  }
  if (o.max_reso < longer || o.max_reso > 1 << 16) {
    throw UsageError(
        fmt::format("a longest bucket side of {} does not lie between the resolution's "
                    "longer side {} and 65536",
                    o.max_reso, longer),
        "--max_bucket_reso");
  }
  const int min_reso = std::max(1, o.min_reso / o.reso_steps) * o.reso_steps;
  const int max_reso = (o.max_reso + o.reso_steps - 1) / o.reso_steps * o.reso_steps;
  if (min_reso != o.min_reso || max_reso != o.max_reso) {
    log_warning("bucket sides from {} to {} become {} to {}: multiples of {}", o.min_reso,
                o.max_reso, min_reso, max_reso, o.reso_steps);
  }
  o.min_reso = min_reso;
  o.max_reso = max_reso;
  if (bucket_list(o).empty()) {
    throw UsageError(fmt::format("no bucket with sides in multiples of {} fits the area of {} x {}",
                                 o.reso_steps, o.resolution.width, o.resolution.height),
                     "--resolution", "use a larger resolution, or leave --enable_bucket out");
  }
  return o;
}

std::vector<Size> bucket_list(const BucketOptions& options) {
  if (!options.enable) return {options.resolution};
  const int64_t allowed = area(options.resolution);
  const int step = options.reso_steps;
  std::set<Size> buckets;
  const int side = static_cast<int>(std::sqrt(static_cast<double>(allowed)) / step) * step;
  if (side > 0) buckets.insert({side, side});
  for (int width = options.min_reso; width <= options.max_reso; width += step) {
    const int height =
        static_cast<int>(std::min<int64_t>(options.max_reso, allowed / width / step * step));
    if (height < options.min_reso) continue;
    buckets.insert({width, height});
    buckets.insert({height, width});
  }
  return {buckets.begin(), buckets.end()};
}

std::optional<Placement> cover(Size image, Size bucket) {
  const bool is_wider = ratio(image) > ratio(bucket);
  const double scale = is_wider ? static_cast<double>(bucket.height) / image.height
                                : static_cast<double>(bucket.width) / image.width;
  const double width = std::floor(image.width * scale + 0.5);
  const double height = std::floor(image.height * scale + 0.5);
  if (width * height > kMaxExcess * static_cast<double>(area(bucket))) return std::nullopt;
  // Rounding must not leave a side a pixel short.
  return Placement{bucket,
                   {std::max(bucket.width, static_cast<int>(width)),
                    std::max(bucket.height, static_cast<int>(height))}};
}

BucketChooser::BucketChooser(const BucketOptions& options) : options_(options) {
  if (!options.enable || !options.no_upscale) buckets_ = bucket_list(options);
}

std::optional<Placement> BucketChooser::place(Size image) const {
  if (image.width < 1 || image.height < 1) return std::nullopt;
  if (options_.enable && options_.no_upscale) return place_without_upscaling(image, options_);
  if (std::binary_search(buckets_.begin(), buckets_.end(), image)) return cover(image, image);
  const double r = ratio(image);
  // The first of equals: the order of the list decides ties.
  const auto nearest =
      std::min_element(buckets_.begin(), buckets_.end(), [r](const Size& a, const Size& b) {
        return std::abs(ratio(a) - r) < std::abs(ratio(b) - r);
      });
  if (nearest == buckets_.end()) return std::nullopt;
  return cover(image, *nearest);
}

}  // namespace sdtune
