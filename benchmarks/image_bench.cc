// A picture from its file to its training size, timed on request: image_peer.py asks for one run at
// a time and does its own between, so that both meet the same machine. One request a line:
//   time exact|fast W H FILE         answered with the milliseconds taken, by the wall and by the
//   processor write exact|fast W H FILE OUT    writes H*W*3 bytes of RGB and answers with "written"
#include <chrono>
#include <ctime>
#include <iostream>
#include <span>
#include <sstream>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "image/decode.h"
#include "image/resize.h"

namespace sdtune {
namespace {

struct Request {
  std::string what, how, file, out;
  Size size;
  Size from;  // which a dataset's index knows beforehand
};

Image load(const Request& request) {
  DecodeOptions options;
  if (request.how == "fast") options.at_least = request.size;
  options.then = AreaResize{request.from, request.size};
  const Image image = decode_image(request.file, options);
  return resize(image, request.size.width, request.size.height, Interpolation::kArea);
}

void answer(const Request& request) {
  if (request.what == "write") {
    const Image image = load(request);
    AtomicFile file(request.out);
    file.write(std::as_bytes(std::span(image.rgb)));
    file.commit();
    std::cout << "written" << std::endl;
    return;
  }
  const auto begin = std::chrono::steady_clock::now();
  const std::clock_t begin_clock = std::clock();  // of all the process's threads
  load(request);
  const double clocks = static_cast<double>(std::clock() - begin_clock);
  const std::chrono::duration<double, std::milli> wall = std::chrono::steady_clock::now() - begin;
  std::cout << wall.count() << ' ' << 1e3 * clocks / CLOCKS_PER_SEC << std::endl;
}

int run() {
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    Request request;
    words >> request.what >> request.how >> request.size.width >> request.size.height;
    words >> request.file >> request.out;
    request.from = image_size(request.file);
    answer(request);
  }
  return 0;
}

}  // namespace
}  // namespace sdtune

int main() try { return sdtune::run(); } catch (const sdtune::Error& error) {
  std::cerr << error.what() << " (" << error.where() << ")\n";
  return error.exit_code();
}
