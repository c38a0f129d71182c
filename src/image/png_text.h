// Words in a PNG file: what a picture was made from, as PIL and other programs read it. Works on
// the file's bytes; pixels are encode.h's and decode.h's.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sdtune {

using PngText = std::vector<std::pair<std::string, std::string>>;  // keyword and text

// The PNG file's bytes with a chunk for each text after its header: tEXt for ASCII, else iTXt (PNG
// specification, third edition, 11.3.3). Keywords are 1 to 79 ASCII letters, texts UTF-8.
std::vector<std::byte> with_png_text(std::span<const std::byte> png, const PngText& text);

// The texts that stand in a PNG file uncompressed, in order; tEXt's Latin-1 as UTF-8. Nothing for
// other formats, and what stands before the place where the file is damaged.
PngText read_png_text(std::span<const std::byte> file);

}  // namespace sdtune
