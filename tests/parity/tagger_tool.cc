// What a tagger sees and says, for tests/parity/test_tagger.py.
//
//   sdtune-tagger standard|deepdanbooru FOLDER OUT PICTURE…
//
// writes OUT.pixels, the squares as bytes [pictures, side, side, 3] (red first), and OUT.scores,
// float32 [pictures, tags].
#include <cstdio>
#include <string>
#include <vector>

#include "annotate/tagger.h"
#include "base/error.h"
#include "base/files.h"
#include "image/decode.h"

using namespace sdtune;

int main(int argc, char** argv) try {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const TaggerFiles files = find_tagger(words.at(1), words.at(0) == "deepdanbooru");
  Tagger tagger(files, read_tags(files).size(), {.path = files.model, .threads = 2});
  std::vector<ReadyPicture> pictures;
  std::string pixels;
  for (size_t i = 3; i < words.size(); ++i) {
    pictures.push_back({tagger.prepare(decode_image(words[i])), 0});
    pixels.append(pictures.back().image.rgb.begin(), pictures.back().image.rgb.end());
  }
  write_file(words.at(2) + ".pixels", pixels);
  const std::vector<float> scores = tagger.score(pictures);
  const auto* bytes = reinterpret_cast<const char*>(scores.data());
  write_file(words.at(2) + ".scores", std::string_view(bytes, scores.size() * sizeof(float)));
} catch (const Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
