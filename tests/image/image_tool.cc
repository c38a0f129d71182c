// sdtune-image decode IN OUT                 "W H\n", then W*H*3 bytes of RGB
// sdtune-image fast W H IN OUT               the same, shrunk on load to no less than W x H
// sdtune-image alpha IN OUT                  "W H\n", then W*H bytes, none for a picture without
// sdtune-image resize METHOD W H IN OUT      RGB, resized
// sdtune-image hue DEGREES IN OUT            RGB, every hue turned
// sdtune-image gamma GAMMA IN OUT            RGB, every value to that power
// sdtune-image jpeg QUALITY IN OUT           a JPEG file
// sdtune-image size IN                       "W H" on stdout, from the header
// sdtune-image hash IN                       16 hexadecimal digits on stdout
#include <cstdio>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "image/augment.h"
#include "image/decode.h"
#include "image/encode.h"
#include "image/perceptual_hash.h"
#include "image/resize.h"

namespace sdtune {
namespace {

using Words = std::vector<std::string>;

const std::map<std::string, Interpolation> kMethods = {
    {"default", Interpolation::kDefault},   {"area", Interpolation::kArea},
    {"lanczos", Interpolation::kLanczos},   {"nearest", Interpolation::kNearest},
    {"bilinear", Interpolation::kBilinear}, {"bicubic", Interpolation::kBicubic},
    {"box", Interpolation::kBox},
};

void write_raw(const fs::path& path, Size size, const std::vector<uint8_t>& bytes) {
  AtomicFile file(path);
  file.write(fmt::format("{} {}\n", size.width, size.height));
  file.write(std::as_bytes(std::span(bytes)));
  file.commit();
}

void print_facts(const Words& words) {
  if (words[0] == "size") {
    const Size size = image_size(words[1]);
    std::printf("%d %d\n", size.width, size.height);
  } else {
    std::printf("%s\n", fmt::format("{:016x}", perceptual_hash(decode_image(words[1]))).c_str());
  }
}

Image changed_picture(const Words& words) {
  const fs::path in = words[words.size() - 2];
  if (words[0] == "fast") {
    return decode_image(in, {.at_least = {std::stoi(words[1]), std::stoi(words[2])}});
  }
  Image image = decode_image(in);
  if (words[0] == "resize" && words[1] == "wide_bicubic") {
    return resize_by_wide_bicubic(image, std::stoi(words[2]), std::stoi(words[3]));
  }
  if (words[0] == "resize") {
    return resize(image, std::stoi(words[2]), std::stoi(words[3]), kMethods.at(words[1]));
  }
  if (words[0] == "hue") shift_hue(image, std::stod(words[1]));
  if (words[0] == "gamma") apply_gamma(image, std::stod(words[1]));
  return image;
}

int run(const Words& words) {
  const std::map<std::string, size_t> lengths = {{"decode", 3}, {"fast", 5}, {"alpha", 3},
                                                 {"resize", 6}, {"hue", 4},  {"gamma", 4},
                                                 {"jpeg", 4},   {"size", 2}, {"hash", 2}};
  const auto length = words.empty() ? lengths.end() : lengths.find(words[0]);
  if (length == lengths.end() || words.size() != length->second) {
    std::fputs("see the head of image_tool.cc\n", stderr);
    return 2;
  }
  if (words.size() == 2) {
    print_facts(words);
  } else if (words[0] == "alpha") {
    const Image image = decode_image(words[1], {.keep_alpha = true});
    write_raw(words[2], image.size(), image.alpha);
  } else if (words[0] == "jpeg") {
    write_jpeg(words[3], decode_image(words[2]), std::stoi(words[1]));
  } else {
    const Image image = changed_picture(words);
    write_raw(words.back(), image.size(), image.rgb);
  }
  return 0;
}

}  // namespace
}  // namespace sdtune

int main(int argc, char** argv) try {
  return sdtune::run({argv + 1, argv + argc});
} catch (const sdtune::Error& error) {
  std::fprintf(stderr, "%s (%s)\n", error.what(), error.where().c_str());
  return error.exit_code();
}
