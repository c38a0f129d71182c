#include "image/picture_facts.h"

#include "image/picture_file.h"
#include "image/vips_library.h"

namespace sdtune {

PictureFacts picture_facts(const std::filesystem::path& path) {
  start_vips();
  try {
    const PictureHeader header = open_picture_header(path);
    VipsImage* image = header.image.get_image();
    PictureFacts facts;
    facts.size = {header.image.width(), header.image.height()};
    if (vips_image_get_orientation_swap(image)) {
      facts.size = {header.image.height(), header.image.width()};
    }
    facts.format = header.format;
    facts.is_turned = vips_image_get_orientation(image) > 1;
    facts.has_alpha = header.image.has_alpha();
    facts.is_16_bit = vips_format_sizeof(header.image.format()) > 1;
    facts.is_cmyk = header.image.interpretation() == VIPS_INTERPRETATION_CMYK;
    facts.has_profile = header.image.get_typeof(VIPS_META_ICC_NAME) != 0;
    facts.pages = vips_image_get_n_pages(image);
    return facts;
  } catch (const vips::VError& error) {
    throw_undecodable(path, error);
  }
}

}  // namespace sdtune
