#include "image/encode.h"

#include <memory>
#include <vips/vips8>

#include "base/error.h"
#include "base/files.h"
#include "image/vips_library.h"

namespace sdtune {

std::vector<std::byte> encode_png(const Image& image) {
  start_vips();
  if (image.width < 1 || image.height < 1)
    throw Error("a picture without pixels cannot be written");
  using vips::VImage;
  try {
    const VImage pixels =
        VImage::new_from_memory(const_cast<uint8_t*>(image.rgb.data()), image.rgb.size(),
                                image.width, image.height, 3, VIPS_FORMAT_UCHAR)
            .copy(VImage::option()->set("interpretation", VIPS_INTERPRETATION_sRGB));
    const std::unique_ptr<VipsBlob, void (*)(VipsBlob*)> blob(
        pixels.pngsave_buffer(VImage::option()->set("strip", true)),
        [](VipsBlob* b) { vips_area_unref(VIPS_AREA(b)); });
    size_t length = 0;
    const auto* data = static_cast<const std::byte*>(vips_blob_get(blob.get(), &length));
    return {data, data + length};
  } catch (const vips::VError& error) {
    throw Error(fmt::format("a PNG could not be made: {}", vips_reason(error.what())));
  }
}

void write_png(const fs::path& path, const Image& image) {
  AtomicFile file(path);
  file.write(encode_png(image));
  file.commit();
}

}  // namespace sdtune
