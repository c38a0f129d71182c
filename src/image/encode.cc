#include "image/encode.h"

#include <memory>
#include <vips/vips8>

#include "base/error.h"
#include "base/files.h"
#include "image/vips_library.h"

namespace sdtune {
namespace {

using vips::VImage;

VImage as_vips(const Image& image) {
  if (image.width < 1 || image.height < 1) {
    throw Error("a picture without pixels cannot be written");
  }
  return VImage::new_from_memory(const_cast<uint8_t*>(image.rgb.data()), image.rgb.size(),
                                 image.width, image.height, 3, VIPS_FORMAT_UCHAR)
      .copy(VImage::option()->set("interpretation", VIPS_INTERPRETATION_sRGB));
}

// Takes `blob`.
std::vector<std::byte> bytes_of(VipsBlob* blob) {
  const std::unique_ptr<VipsBlob, void (*)(VipsBlob*)> owner(
      blob, [](VipsBlob* b) { vips_area_unref(VIPS_AREA(b)); });
  size_t length = 0;
  const auto* data = static_cast<const std::byte*>(vips_blob_get(blob, &length));
  return {data, data + length};
}

void write_bytes(const fs::path& path, const std::vector<std::byte>& bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace

std::vector<std::byte> encode_png(const Image& image) {
  start_vips();
  try {
    return bytes_of(as_vips(image).pngsave_buffer(VImage::option()->set("strip", true)));
  } catch (const vips::VError& error) {
    throw Error(fmt::format("a PNG could not be made: {}", vips_reason(error.what())));
  }
}

void write_png(const fs::path& path, const Image& image, const PngText& text) {
  write_bytes(path, with_png_text(encode_png(image), text));
}

std::vector<std::byte> encode_jpeg(const Image& image, int quality) {
  if (quality < 1 || quality > 100) {
    throw Error(fmt::format("a JPEG's quality is from 1 to 100, not {}", quality));
  }
  start_vips();
  try {
    auto* options = VImage::option()->set("Q", quality)->set("strip", true);
    return bytes_of(as_vips(image).jpegsave_buffer(options));
  } catch (const vips::VError& error) {
    throw Error(fmt::format("a JPEG could not be made: {}", vips_reason(error.what())), "",
                "Make it smaller, or write a PNG.");
  }
}

void write_jpeg(const fs::path& path, const Image& image, int quality) {
  write_bytes(path, encode_jpeg(image, quality));
}

}  // namespace sdtune
