#include "image/picture_file.h"

#include <array>
#include <cstdint>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "image/vips_library.h"

namespace sdtune {
namespace {

using vips::VImage;

constexpr int64_t kMaxPixels = 200'000'000;
constexpr uint64_t kMaxFileBytes = 1ull << 30;

// The format that a loader's class name stands for, "" for what is not let in. Only picture
// formats: libvips would also render SVG and PDF, and ImageMagick much more.
std::string_view format_of(std::string_view loader, std::string_view head) {
  constexpr std::string_view kPrefix = "VipsForeignLoad";
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kFormats = {{
      {"Jpeg", "JPEG"},
      {"Png", "PNG"},
      {"Webp", "WebP"},
      {"Heif", "AVIF"},
      {"Jxl", "JPEG XL"},
      {"Tiff", "TIFF"},
      {"Nsgif", "GIF"},
  }};
  if (!loader.starts_with(kPrefix)) return "";
  loader.remove_prefix(kPrefix.size());
  for (const auto& [name, format] : kFormats) {
    if (loader.starts_with(name)) return format;
  }
  return loader.starts_with("Magick") && head.starts_with("BM") ? "BMP" : "";
}

[[noreturn]] void throw_unknown_format(const fs::path& path) {
  throw Error("this file is no picture of a known format", path.string(),
              "Known are PNG, JPEG, WebP, AVIF, JPEG XL, GIF, TIFF and BMP.");
}

void check_size(const VImage& image, const fs::path& path) {
  const int64_t pixels = int64_t{image.width()} * image.height();
  if (pixels > kMaxPixels) {
    throw Error(fmt::format("this picture has {} x {} pixels, more than {} million", image.width(),
                            image.height(), kMaxPixels / 1'000'000),
                path.string(), "Make it smaller first.");
  }
}

constexpr const char* kJpegLoader = "VipsForeignLoadJpegBuffer";

// libvips' loader for these bytes, by their content.
const char* loader_of(const std::string& bytes, const fs::path& path) {
  vips_error_clear();  // some loaders leave words behind that would open the next message
  if (is_jpeg(bytes)) return kJpegLoader;  // what the search finds after trying the others
  const char* loader = vips_foreign_find_load_buffer(bytes.data(), bytes.size());
  if (loader == nullptr || format_of(loader, bytes).empty()) throw_unknown_format(path);
  return loader;
}

// Takes `options`.
VImage load(const char* loader, const std::string& bytes, vips::VOption* options) {
  VipsBlob* blob = vips_blob_new(nullptr, bytes.data(), bytes.size());
  VImage image;
  options->set("out", &image)
      ->set("buffer", blob)
      ->set("access", VIPS_ACCESS_SEQUENTIAL)
      ->set("fail_on", VIPS_FAIL_ON_TRUNCATED);
  vips_area_unref(VIPS_AREA(blob));
  VImage::call(loader, options);
  return image;
}

}  // namespace

bool is_jpeg(std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); }

std::string read_picture_file(const fs::path& path) {
  std::string bytes = read_file(path, kMaxFileBytes);
  if (bytes.empty()) throw Error("this picture file is empty", path.string(), "Remove the file.");
  return bytes;
}

VImage open_picture(const std::string& bytes, const fs::path& path) {
  VImage image = load(loader_of(bytes, path), bytes, VImage::option());
  check_size(image, path);
  return image;
}

VImage open_shrunk_picture(const std::string& bytes, const fs::path& path, int shrink) {
  const char* loader = loader_of(bytes, path);
  const std::string_view format = format_of(loader, bytes);
  auto* options = VImage::option();
  if (format == "JPEG") options->set("shrink", shrink);
  if (format == "WebP") options->set("scale", 1.0 / shrink);
  VImage image = load(loader, bytes, options);
  check_size(image, path);
  return image;
}

PictureHeader open_picture_header(const fs::path& path) {
  vips_error_clear();
  PictureHeader header;
  const auto source = vips::VSource::new_from_file(path.c_str());
  const char* loader = vips_foreign_find_load_source(source.get_source());
  if (loader == nullptr) {
    header.bytes = read_picture_file(path);
    header.format = format_of(loader_of(header.bytes, path), header.bytes);
    header.image = open_picture(header.bytes, path);
    return header;
  }
  header.format = format_of(loader, "");
  if (header.format.empty()) throw_unknown_format(path);
  VImage::call(loader, VImage::option()->set("out", &header.image)->set("source", source));
  check_size(header.image, path);
  return header;
}

void throw_undecodable(const fs::path& path, const vips::VError& error) {
  throw Error(fmt::format("this picture cannot be read: {}", vips_reason(error.what())),
              path.string(), "Replace or remove the file.");
}

}  // namespace sdtune
