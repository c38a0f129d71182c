// Build step: reads bpe_simple_vocab_16e6.txt.gz and writes its merges as a C++ array of id pairs,
// so that the program carries the vocabulary. Usage: embed_clip_merges <vocabulary.txt.gz>
// <output.cc>
#include <zlib.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "text/clip_alphabet.h"

namespace {

using Vocabulary = std::unordered_map<std::string, int>;

std::string read_gzip(const char* path) {
  gzFile file = gzopen(path, "rb");
  if (!file) throw std::runtime_error(std::string("cannot open ") + path);
  std::string text;
  char buffer[1 << 16];
  int count = 0;
  while ((count = gzread(file, buffer, sizeof buffer)) > 0) text.append(buffer, count);
  gzclose(file);
  if (count < 0) throw std::runtime_error(std::string("cannot decompress ") + path);
  return text;
}

Vocabulary byte_vocabulary() {
  Vocabulary ids;
  const auto texts = sdtune::clip_byte_texts();
  for (int id = 0; id < 256; ++id) {
    ids[texts[id]] = id;
    ids[texts[id] + sdtune::kEndOfWord] = id + sdtune::kEndOfWordOffset;
  }
  return ids;
}

// The tokenizer relies on both checks: parts older than their merge, and no text made in two ways.
std::string merge_source(const std::string& line, int id, Vocabulary& ids) {
  const size_t space = line.find(' ');
  const auto left = ids.find(line.substr(0, space));
  const auto right = space == std::string::npos ? ids.end() : ids.find(line.substr(space + 1));
  if (left == ids.end() || right == ids.end() ||
      !ids.emplace(left->first + right->first, id).second) {
    throw std::runtime_error("this is not CLIP's vocabulary: merge \"" + line + "\"");
  }
  return "{" + std::to_string(left->second) + "," + std::to_string(right->second) + "},\n";
}

std::string merges_source(const std::string& text) {
  Vocabulary ids = byte_vocabulary();
  std::string source = "#include \"text/clip_vocabulary.h\"\nnamespace sdtune {\n";
  source += "const ClipMerge kClipMerges[kClipMergeCount] = {\n";
  size_t begin = text.find('\n') + 1;  // the first line is a title
  for (int i = 0; i < sdtune::kClipMergeCount; ++i) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) throw std::runtime_error("the vocabulary is too short");
    source += merge_source(text.substr(begin, end - begin), sdtune::kFirstMergeId + i, ids);
    begin = end + 1;
  }
  return source + "};\n}  // namespace sdtune\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: embed_clip_merges <vocabulary.txt.gz> <output.cc>\n";
    return 2;
  }
  try {
    std::ofstream output(argv[2], std::ios::binary);
    output << merges_source(read_gzip(argv[1]));
    if (!output.flush()) throw std::runtime_error(std::string("cannot write ") + argv[2]);
  } catch (const std::exception& error) {
    std::cerr << "embed_clip_merges: " << error.what() << "\n";
    std::remove(argv[2]);
    return 1;
  }
  return 0;
}
