// sdtune-image decode IN OUT                     "W H\n", then W*H*3 bytes of RGB
// sdtune-image resize area|lanczos W H IN OUT    the same, resized
// sdtune-image size IN                           "W H" on stdout, from the header
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "image/decode.h"
#include "image/resize.h"

namespace sdtune {
namespace {

void write_raw(const fs::path& path, const Image& image) {
  AtomicFile file(path);
  file.write(fmt::format("{} {}\n", image.width, image.height));
  file.write(std::as_bytes(std::span(image.rgb)));
  file.commit();
}

int run(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "decode" && argc == 4) {
    write_raw(argv[3], decode_image(argv[2]));
  } else if (command == "resize" && argc == 7) {
    const auto how =
        std::string_view(argv[2]) == "area" ? Interpolation::kArea : Interpolation::kLanczos;
    write_raw(argv[6], resize(decode_image(argv[5]), std::stoi(argv[3]), std::stoi(argv[4]), how));
  } else if (command == "size" && argc == 3) {
    const Size size = image_size(argv[2]);
    std::printf("%d %d\n", size.width, size.height);
  } else {
    std::fputs("see the head of image_tool.cc\n", stderr);
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace sdtune

int main(int argc, char** argv) try {
  return sdtune::run(argc, argv);
} catch (const sdtune::Error& error) {
  std::fprintf(stderr, "%s (%s)\n", error.what(), error.where().c_str());
  return error.exit_code();
}
