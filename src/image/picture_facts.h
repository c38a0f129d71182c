// What a picture file says about itself before any pixel is decoded: for reports on a data set.
// decode.h gives the pixels.
#pragma once

#include <filesystem>
#include <string>

#include "image/image.h"

namespace sdtune {

struct PictureFacts {
  Size size;               // upright, as decode_image gives it
  std::string format;      // "PNG", "JPEG", "WebP", "AVIF", "JPEG XL", "GIF", "TIFF" or "BMP"
  bool is_turned = false;  // its EXIF orientation is not "as stored"
  bool has_alpha = false;  // a transparent colour in a palette counts
  bool is_16_bit = false;  // more than 8 bits for each channel
  bool is_cmyk = false;
  bool has_profile = false;  // an ICC profile of any kind
  int pages = 1;             // frames of an animation, pages of a TIFF
};

// From the header alone. Throws Error as image_size does.
PictureFacts picture_facts(const std::filesystem::path& path);

}  // namespace sdtune
