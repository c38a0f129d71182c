#include "image/decode.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vips/vips8>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "image/vips_library.h"

namespace sdtune {
namespace {

using vips::VImage;

constexpr int64_t kMaxPixels = 200'000'000;
constexpr uint64_t kMaxFileBytes = 1ull << 30;
constexpr size_t kMaxKnownProfiles = 256;

// Only picture formats: libvips would also render SVG and PDF, and ImageMagick much more.
bool is_allowed_loader(std::string_view loader, std::string_view head) {
  constexpr std::string_view kPrefix = "VipsForeignLoad";
  if (!loader.starts_with(kPrefix)) return false;
  loader.remove_prefix(kPrefix.size());
  constexpr std::array<std::string_view, 7> kFormats = {"Jpeg", "Png",  "Webp", "Heif",
                                                        "Jxl",  "Tiff", "Nsgif"};
  for (std::string_view format : kFormats) {
    if (loader.starts_with(format)) return true;
  }
  return loader.starts_with("Magick") && head.starts_with("BM");  // .bmp
}

[[noreturn]] void throw_unknown_format(const fs::path& path) {
  throw Error("this file is no picture of a known format", path.string(),
              "Known are PNG, JPEG, WebP, AVIF, JPEG XL, GIF, TIFF and BMP.");
}

[[noreturn]] void throw_undecodable(const fs::path& path, const vips::VError& error) {
  throw Error(fmt::format("this picture cannot be read: {}", vips_reason(error.what())),
              path.string(), "Replace or remove the file.");
}

void check_size(const VImage& image, const fs::path& path) {
  const int64_t pixels = int64_t{image.width()} * image.height();
  if (pixels > kMaxPixels) {
    throw Error(fmt::format("this picture has {} x {} pixels, more than {} million", image.width(),
                            image.height(), kMaxPixels / 1'000'000),
                path.string(), "Make it smaller first.");
  }
}

// Opens the header; pixels are decoded when asked for. `bytes` must outlive the image.
VImage open_bytes(const std::string& bytes, const fs::path& path) {
  vips_error_clear();  // some loaders leave words behind that would open the next message
  const char* loader = vips_foreign_find_load_buffer(bytes.data(), bytes.size());
  if (loader == nullptr || !is_allowed_loader(loader, bytes)) throw_unknown_format(path);
  VipsBlob* blob = vips_blob_new(nullptr, bytes.data(), bytes.size());
  VImage image;
  auto* options = VImage::option()
                      ->set("out", &image)
                      ->set("buffer", blob)
                      ->set("access", VIPS_ACCESS_SEQUENTIAL)
                      ->set("fail_on", VIPS_FAIL_ON_TRUNCATED);
  vips_area_unref(VIPS_AREA(blob));
  VImage::call(loader, options);
  return image;
}

std::string read_picture_file(const fs::path& path) {
  std::string bytes = read_file(path, kMaxFileBytes);
  if (bytes.empty()) throw Error("this picture file is empty", path.string(), "Remove the file.");
  return bytes;
}

// Whether converting by the profile would move any colour by more than rounding.
bool measure_profile(const void* profile, size_t length) {
  constexpr int kSteps = 9;
  std::vector<uint8_t> cube;
  for (int i = 0; i < kSteps * kSteps * kSteps; ++i) {
    for (int level : {i % kSteps, i / kSteps % kSteps, i / kSteps / kSteps}) {
      cube.push_back(static_cast<uint8_t>(level * 255 / (kSteps - 1)));
    }
  }
  VImage probe = VImage::new_from_memory(cube.data(), cube.size(), kSteps * kSteps, kSteps, 3,
                                         VIPS_FORMAT_UCHAR)
                     .copy(VImage::option()->set("interpretation", VIPS_INTERPRETATION_sRGB));
  probe.set(VIPS_META_ICC_NAME, nullptr, const_cast<void*>(profile), length);
  const VImage converted =
      probe.icc_transform("srgb", VImage::option()->set("embedded", true)).copy_memory();
  const auto* out = static_cast<const uint8_t*>(converted.data());
  for (size_t i = 0; i < cube.size(); ++i) {
    if (std::abs(int{out[i]} - int{cube[i]}) > 2) return true;
  }
  return false;
}

// Most embedded profiles are sRGB in one of many spellings; leaving those pixels alone keeps them
// as every other program shows them. Measuring one takes as long as decoding a picture, and a
// folder of pictures has a handful, so the answers are kept.
bool profile_changes_rgb(const VImage& image) {
  static std::mutex mutex;
  static std::unordered_map<std::string, bool> answers;
  size_t length = 0;
  const void* profile = image.get_blob(VIPS_META_ICC_NAME, &length);
  const std::string key = hash_hex(std::span(static_cast<const std::byte*>(profile), length));
  {
    const std::lock_guard lock(mutex);
    const auto known = answers.find(key);
    if (known != answers.end()) return known->second;
  }
  const bool answer = measure_profile(profile, length);
  const std::lock_guard lock(mutex);
  if (answers.size() >= kMaxKnownProfiles) answers.clear();
  answers[key] = answer;
  return answer;
}

// The image in sRGB by its embedded profile, or as it is where that is absent, unusable or sRGB
// already.
VImage apply_profile(const VImage& image) {
  if (image.get_typeof(VIPS_META_ICC_NAME) == 0) return image;
  try {
    const bool is_rgb = image.interpretation() == VIPS_INTERPRETATION_sRGB;
    if (is_rgb && !profile_changes_rgb(image)) return image;
    return image.icc_transform("srgb", VImage::option()->set("embedded", true));
  } catch (const vips::VError&) {
    vips_error_clear();
    return image;
  }
}

// CMYK without a profile: each ink darkens its channel, black all of them, as PIL and browsers do.
Image plain_rgb_from_cmyk(const VImage& cmyk) {
  const VImage pixels =
      cmyk.extract_band(0, VImage::option()->set("n", 4)).cast(VIPS_FORMAT_UCHAR).copy_memory();
  Image image(pixels.width(), pixels.height());
  const auto* in = static_cast<const uint8_t*>(pixels.data());
  for (size_t i = 0; i < image.rgb.size(); ++i) {
    const uint8_t* inks = in + i / 3 * 4;
    const int paper = 255 - inks[3];
    image.rgb[i] = static_cast<uint8_t>(paper - (inks[i % 3] * paper + 127) / 255);
  }
  return image;
}

Image to_image(VImage pixels, const fs::path& path) {
  pixels = apply_profile(pixels);
  if (pixels.interpretation() == VIPS_INTERPRETATION_CMYK && pixels.bands() >= 4) {
    return plain_rgb_from_cmyk(pixels);
  }
  pixels = pixels.colourspace(VIPS_INTERPRETATION_sRGB);
  if (pixels.has_alpha()) {
    pixels = pixels.flatten(VImage::option()->set("background", std::vector<double>{255}));
  }
  pixels = pixels.cast(VIPS_FORMAT_UCHAR);
  if (pixels.bands() != 3) {
    throw Error(fmt::format("this picture has {} channels", pixels.bands()), path.string(),
                "Save it as RGB.");
  }
  pixels = pixels.copy_memory();
  Image image(pixels.width(), pixels.height());
  const auto* data = static_cast<const uint8_t*>(pixels.data());
  std::copy(data, data + image.rgb.size(), image.rgb.begin());
  return image;
}

}  // namespace

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  constexpr std::array<std::string_view, 10> kExtensions = {
      ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif", ".jxl", ".gif", ".tif", ".tiff"};
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

Image decode_image(const fs::path& path) {
  start_vips();
  const std::string bytes = read_picture_file(path);
  try {
    VImage pixels = open_bytes(bytes, path);
    check_size(pixels, path);
    // Turning reads rows out of order, which a sequential source cannot give.
    if (vips_image_get_orientation(pixels.get_image()) > 1) pixels = pixels.copy_memory().autorot();
    return to_image(pixels, path);
  } catch (const vips::VError& error) {
    throw_undecodable(path, error);
  }
}

Size image_size(const fs::path& path) {
  start_vips();
  try {
    vips_error_clear();
    const auto source = vips::VSource::new_from_file(path.c_str());
    const char* loader = vips_foreign_find_load_source(source.get_source());
    VImage image;
    std::string bytes;
    if (loader == nullptr) {  // formats that are read from memory only
      bytes = read_picture_file(path);
      image = open_bytes(bytes, path);
    } else {
      if (!is_allowed_loader(loader, "")) throw_unknown_format(path);
      VImage::call(loader, VImage::option()->set("out", &image)->set("source", source));
    }
    check_size(image, path);
    if (vips_image_get_orientation_swap(image.get_image())) return {image.height(), image.width()};
    return {image.width(), image.height()};
  } catch (const vips::VError& error) {
    throw_undecodable(path, error);
  }
}

void end_image_thread() { vips_thread_shutdown(); }

}  // namespace sdtune
