// Opening a picture file with libvips up to its header: which formats are let in, how large a
// picture may be, and the words for what goes wrong. For this folder's own sources only; pixels are
// decode.cc's.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vips/vips8>

namespace sdtune {

// The file's bytes. Throws Error when it is missing, empty or over 1 GiB.
std::string read_picture_file(const std::filesystem::path& path);

// Whether the bytes begin as every JPEG does.
bool is_jpeg(std::string_view bytes);

// Opens the header; pixels are decoded when asked for, from the top down and once. `bytes` must
// outlive the image. Throws Error for what is no picture format and for more than 200 million
// pixels, vips::VError when the data is damaged.
vips::VImage open_picture(const std::string& bytes, const std::filesystem::path& path);

// The same as it comes out of a decoder that makes every `shrink` x `shrink` pixels one; 2, 4 or 8.
// An image with all its pixels where the format has no such decoder.
vips::VImage open_shrunk_picture(const std::string& bytes, const std::filesystem::path& path,
                                 int shrink);

// A header read without its file's pixels, for questions about it.
struct PictureHeader {
  std::string bytes;  // of formats that can be read from memory only
  vips::VImage image;
  std::string_view format;  // "JPEG", as open_picture would find it
};

// Throws as open_picture does, and Error when there is no such file.
PictureHeader open_picture_header(const std::filesystem::path& path);

[[noreturn]] void throw_undecodable(const std::filesystem::path& path, const vips::VError& error);

}  // namespace sdtune
