// Pictures to PNG and JPEG: previews, contact sheets, thumbnails, resized data sets. Nothing but
// the colours is stored, and in a PNG the texts that are asked for: no profile, no alpha.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "image/image.h"
#include "image/png_text.h"

namespace sdtune {

// The bytes of a PNG file, 8-bit RGB. Throws Error when the picture has no pixels.
std::vector<std::byte> encode_png(const Image& image);

// Writes it under `path`, replacing atomically. Throws Error with the path and the reason.
void write_png(const std::filesystem::path& path, const Image& image, const PngText& text = {});

// The bytes of a baseline JPEG file. `quality` from 1 to 100 is libjpeg's; from 90 on the colour
// planes keep their full size. Throws Error for another quality, when the picture has no pixels,
// and when a side is over JPEG's limit of 65,500.
std::vector<std::byte> encode_jpeg(const Image& image, int quality = 95);

// Writes it under `path`, replacing atomically. Throws Error with the path and the reason.
void write_jpeg(const std::filesystem::path& path, const Image& image, int quality = 95);

}  // namespace sdtune
