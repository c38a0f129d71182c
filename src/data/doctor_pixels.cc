#include "data/doctor_pixels.h"

#include <algorithm>

#include "base/error.h"
#include "data/doctor_work.h"
#include "image/decode.h"
#include "image/encode.h"
#include "image/perceptual_hash.h"
#include "image/resize.h"

namespace sdtune {
namespace {

constexpr Size kEnoughForHash{72, 64};  // 8 x 8 pixels for each of its means
constexpr int kThumbnailQuality = 75;

std::vector<std::byte> thumbnail(const std::filesystem::path& file, int side) {
  const Image image = decode_image(file, {.at_least = {side, side}});
  const double scale =
      std::min(1.0, static_cast<double>(side) / std::max(image.width, image.height));
  const int width = std::max(1, static_cast<int>(image.width * scale + 0.5));
  const int height = std::max(1, static_cast<int>(image.height * scale + 0.5));
  return encode_jpeg(resize(image, width, height), kThumbnailQuality);
}

}  // namespace

std::vector<Look> look_at(const std::vector<std::filesystem::path>& files, int threads) {
  std::vector<Look> looks(files.size());
  const WorkOptions work{.label = "looking at pictures", .threads = threads, .chunk = 4};
  work_through(files.size(), work, [&](size_t i) {
    try {
      looks[i].hash = perceptual_hash(decode_image(files[i], {.at_least = kEnoughForHash}));
    } catch (const Error& error) {
      looks[i].fault = error.what();
    }
  });
  return looks;
}

std::vector<std::vector<std::byte>> make_thumbnails(const std::vector<std::filesystem::path>& files,
                                                    int side, int threads) {
  std::vector<std::vector<std::byte>> thumbnails(files.size());
  const WorkOptions work{.label = "making thumbnails", .threads = threads, .chunk = 4};
  work_through(files.size(), work, [&](size_t i) {
    try {
      thumbnails[i] = thumbnail(files[i], side);
    } catch (const Error&) {
      thumbnails[i].clear();  // a finding already
    }
  });
  return thumbnails;
}

}  // namespace sdtune
