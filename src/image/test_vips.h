// For tests of image/: a picture as libvips', to be saved in forms that the program does not write.
#pragma once

#include <vips/vips8>

#include "image/image.h"
#include "image/vips_library.h"

namespace sdtune {

inline vips::VImage vips_picture(const Image& image) {
  start_vips();
  return vips::VImage::new_from_memory(const_cast<uint8_t*>(image.rgb.data()), image.rgb.size(),
                                       image.width, image.height, 3, VIPS_FORMAT_UCHAR)
      .copy(vips::VImage::option()->set("interpretation", VIPS_INTERPRETATION_sRGB))
      .copy_memory();
}

}  // namespace sdtune
