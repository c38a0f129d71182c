#include "image/decode.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vips/vips8>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "image/fast_jpeg.h"
#include "image/picture_file.h"
#include "image/vips_library.h"

namespace sdtune {
namespace {

using vips::VImage;

constexpr size_t kMaxKnownProfiles = 256;
constexpr int kStripRows = 16;  // of a large photo these fit the processor's second cache

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

// Whether the image has a profile that must be applied.
bool needs_profile(const VImage& image) {
  if (image.get_typeof(VIPS_META_ICC_NAME) == 0) return false;
  return image.interpretation() != VIPS_INTERPRETATION_sRGB || profile_changes_rgb(image);
}

// The image in sRGB by its embedded profile, or as it is where that is absent, unusable or sRGB
// already.
VImage apply_profile(const VImage& image) {
  try {
    if (!needs_profile(image)) return image;
    return image.icc_transform("srgb", VImage::option()->set("embedded", true));
  } catch (const vips::VError&) {
    vips_error_clear();
    return image;
  }
}

// CMYK without a profile: each ink darkens its channel, black all of them, as PIL and browsers do.
Image plain_rgb_from_cmyk(const VImage& cmyk) {
  const bool is_16_bit = cmyk.format() == VIPS_FORMAT_USHORT;
  const VImage pixels = cmyk.extract_band(0, VImage::option()->set("n", 4))
                            .cast(VIPS_FORMAT_UCHAR, VImage::option()->set("shift", is_16_bit))
                            .copy_memory();
  Image image(pixels.width(), pixels.height());
  const auto* in = static_cast<const uint8_t*>(pixels.data());
  for (size_t i = 0; i < image.rgb.size(); ++i) {
    const uint8_t* inks = in + i / 3 * 4;
    const int paper = 255 - inks[3];
    image.rgb[i] = static_cast<uint8_t>(paper - (inks[i % 3] * paper + 127) / 255);
  }
  return image;
}

// The rows as bytes, strip by strip on this thread: no second copy of the picture is made.
std::vector<uint8_t> read_rows(const VImage& image) {
  if (vips_image_pio_input(image.get_image()) != 0) throw vips::VError();
  const std::unique_ptr<VipsRegion, void (*)(void*)> region(vips_region_new(image.get_image()),
                                                            g_object_unref);
  if (!region) throw vips::VError();
  const size_t stride = size_t{1} * image.width() * image.bands();
  std::vector<uint8_t> out;
  out.reserve(stride * image.height());
  for (int y = 0; y < image.height(); y += kStripRows) {
    const VipsRect strip{0, y, image.width(), std::min(kStripRows, image.height() - y)};
    if (vips_region_prepare(region.get(), &strip) != 0) throw vips::VError();
    for (int row = y; row < y + strip.height; ++row) {
      const uint8_t* bytes = VIPS_REGION_ADDR(region.get(), 0, row);
      out.insert(out.end(), bytes, bytes + stride);
    }
  }
  return out;
}

Image to_image(VImage pixels, const fs::path& path, bool keep_alpha) {
  pixels = apply_profile(pixels);
  if (pixels.interpretation() == VIPS_INTERPRETATION_CMYK && pixels.bands() >= 4) {
    return plain_rgb_from_cmyk(pixels);
  }
  pixels = pixels.colourspace(VIPS_INTERPRETATION_sRGB);
  Image image;
  image.width = pixels.width();
  image.height = pixels.height();
  if (pixels.has_alpha()) {
    if (keep_alpha) {
      pixels = pixels.copy_memory();  // read twice, which a sequential source cannot give
      image.alpha = read_rows(pixels.extract_band(pixels.bands() - 1).cast(VIPS_FORMAT_UCHAR));
    }
    pixels = pixels.flatten(VImage::option()->set("background", std::vector<double>{255}));
  }
  if (pixels.bands() != 3) {
    throw Error(fmt::format("this picture has {} channels", pixels.bands()), path.string(),
                "Save it as RGB.");
  }
  image.rgb = read_rows(pixels.cast(VIPS_FORMAT_UCHAR));
  return image;
}

Size upright_size(const VImage& image) {
  if (vips_image_get_orientation_swap(image.get_image())) return {image.height(), image.width()};
  return {image.width(), image.height()};
}

// The largest of 8, 4, 2 and 1 that leaves both sides no shorter than the caller needs.
int shrink_for(Size size, Size at_least) {
  if (at_least.width < 1 || at_least.height < 1) return 1;
  for (int shrink : {8, 4, 2}) {
    if (size.width / shrink >= at_least.width && size.height / shrink >= at_least.height) {
      return shrink;
    }
  }
  return 1;
}

// A JPEG whose pixels are sRGB as they are, decoded without libvips; nothing for any other picture.
// `header` is the same picture as libvips opened it.
std::optional<Image> decode_directly(const std::string& bytes, const VImage& header,
                                     const DecodeOptions& options, const fs::path& path) {
  if (!is_jpeg(bytes)) return std::nullopt;
  try {
    if (needs_profile(header)) return std::nullopt;
  } catch (const vips::VError&) {
    vips_error_clear();
    return std::nullopt;
  }
  const int orientation = vips_image_get_orientation(header.get_image());
  const Size size = upright_size(header);
  const bool resizes = orientation <= 1 && options.then && options.then->from == size;
  std::optional<Image> image = decode_plain_jpeg(bytes, shrink_for(size, options.at_least),
                                                 resizes ? options.then->to : Size{});
  if (!image || orientation <= 1) return image;
  VImage stored = VImage::new_from_memory(image->rgb.data(), image->rgb.size(), image->width,
                                          image->height, 3, VIPS_FORMAT_UCHAR)
                      .copy(VImage::option()->set("interpretation", VIPS_INTERPRETATION_sRGB));
  stored.set(VIPS_META_ORIENTATION, orientation);
  return to_image(stored.autorot(), path, false);
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

Image decode_image(const fs::path& path, const DecodeOptions& options) {
  start_vips();
  const std::string bytes = read_picture_file(path);
  try {
    VImage pixels = open_picture(bytes, path);
    if (auto image = decode_directly(bytes, pixels, options, path)) return std::move(*image);
    const int shrink = shrink_for(upright_size(pixels), options.at_least);
    if (shrink > 1) pixels = open_shrunk_picture(bytes, path, shrink);
    // Turning reads rows out of order, which a sequential source cannot give.
    if (vips_image_get_orientation(pixels.get_image()) > 1) pixels = pixels.copy_memory().autorot();
    return to_image(pixels, path, options.keep_alpha);
  } catch (const vips::VError& error) {
    throw_undecodable(path, error);
  }
}

Size image_size(const fs::path& path) {
  start_vips();
  try {
    return upright_size(open_picture_header(path).image);
  } catch (const vips::VError& error) {
    throw_undecodable(path, error);
  }
}

void end_image_thread() { end_vips_thread(); }

}  // namespace sdtune
