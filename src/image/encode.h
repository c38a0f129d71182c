// Pictures to PNG: previews, contact sheets, plots. Nothing but the pixels is stored.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "image/image.h"

namespace sdtune {

// The bytes of a PNG file, 8-bit RGB. Throws Error when the picture has no pixels.
std::vector<std::byte> encode_png(const Image& image);

// Writes it under `path`, replacing atomically. Throws Error with the path and the reason.
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace sdtune
