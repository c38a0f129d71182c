// Pictures from files, whatever their format, as upright 8-bit sRGB. Decoding is libvips'; for
// plain RGB files its pixels equal those of Python's PIL. Resizing is not done here (resize.h).
#pragma once

#include <filesystem>
#include <optional>

#include "image/image.h"

namespace sdtune {

// Whether the name ends as pictures' names do, in any letter case: .png .jpg .jpeg .webp .bmp .avif
// .jxl .gif .tif .tiff. Used to list folders; decode_image goes by content.
bool is_image_name(const std::filesystem::path& path);

// A picture of `from` that is going to be resized to `to` by area (Interpolation::kArea).
struct AreaResize {
  Size from;
  Size to;
};

struct DecodeOptions {
  // Fills Image::alpha where the picture has alpha. The colours are the same with and without it.
  bool keep_alpha = false;
  // Fast decoding: the smallest upright size that the caller needs. A JPEG or WebP of at least
  // twice that comes back smaller by a whole factor of 2, 4 or 8, as its decoder can make it in a
  // fraction of the time, and never below this size. Its pixels are close to those of a full decode
  // and resize, not equal. No size: everything is decoded.
  Size at_least = {};
  // What the caller will do with the picture next. A plain JPEG of that upright size comes back
  // with it done, the same pixels in less time and memory; any other picture as it is.
  std::optional<AreaResize> then = {};
};

// Decodes a picture by its content: the first frame, EXIF orientation applied, an embedded ICC
// profile converted to sRGB (one that cannot be read counts as sRGB), CMYK without profile
// converted plainly, alpha composited on white, 16 bits reduced to 8. Any thread may call it.
// Throws Error naming the file when it is missing, empty, no known format, truncated, damaged or
// over 200 megapixels (told by its header, before anything is decoded).
Image decode_image(const std::filesystem::path& path, const DecodeOptions& options = {});

// The size that decode_image would give without options, from the header alone. Throws Error as
// decode_image does, save for damage behind the header.
Size image_size(const std::filesystem::path& path);

// Frees what libvips keeps for the calling thread: for a ThreadPool's at_exit.
void end_image_thread();

}  // namespace sdtune
