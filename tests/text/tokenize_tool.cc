// The tokenizers on standard input and output, for test_tokenizer.py and test_word_piece.py. Not
// installed.
//   sdtune-tokenize ids v1|v2 | chunks v1|v2 75|150|225 | vocab | merges
//                   | word-pieces VOCABULARY | words VOCABULARY
// Reads texts, each after its length in bytes as 4 bytes, little-endian; writes a line of ids for
// each. `words` turns ids back: each text is a row of them, and what comes out a text a line.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "text/clip_tokenizer.h"
#include "text/token_chunks.h"
#include "text/word_piece_files.h"

namespace {

using sdtune::TextFamily;

bool read_text(std::string& text) {
  unsigned char size[4];
  if (!std::cin.read(reinterpret_cast<char*>(size), sizeof size)) return false;
  text.resize(size[0] | size[1] << 8 | size[2] << 16 | static_cast<size_t>(size[3]) << 24);
  if (std::cin.read(text.data(), static_cast<std::streamsize>(text.size()))) return true;
  std::cerr << "the last text is cut off\n";
  std::exit(1);
}

template <class Id>
void write_ids(const std::vector<Id>& ids) {
  std::string line;
  for (const Id id : ids) line += std::to_string(id) + " ";
  line += '\n';
  std::cout << line;
}

void run_word_pieces(const std::string& mode, const std::string& vocabulary) {
  const sdtune::WordPieceTokenizer tokenizer(sdtune::read_word_pieces(vocabulary));
  for (std::string text; read_text(text);) {
    if (mode == "word-pieces") {
      write_ids(tokenizer.encode(text));
      continue;
    }
    std::istringstream words(text);
    std::vector<int64_t> ids;
    for (int64_t id = 0; words >> id;) ids.push_back(id);
    std::cout << tokenizer.decode(ids) << "\n";
  }
}

int run(const std::vector<std::string>& arguments) {
  const std::string mode = arguments.empty() ? "" : arguments[0];
  if (mode == "vocab") {
    std::cout << sdtune::vocab_json();
  } else if (mode == "merges") {
    std::cout << sdtune::merges_text();
  } else if ((mode == "ids" && arguments.size() == 2) ||
             (mode == "chunks" && arguments.size() == 3)) {
    const sdtune::ClipTokenizer tokenizer;
    const TextFamily family = arguments[1] == "v2" ? TextFamily::kV2 : TextFamily::kV1;
    for (std::string text; read_text(text);) {
      if (mode == "ids") {
        write_ids(tokenizer.encode(text, family));
      } else {
        write_ids(sdtune::token_chunks(tokenizer, text, family, std::stoi(arguments[2])));
      }
    }
  } else if ((mode == "word-pieces" || mode == "words") && arguments.size() == 2) {
    run_word_pieces(mode, arguments[1]);
  } else {
    std::cerr << "usage: sdtune-tokenize ids v1|v2 | chunks v1|v2 75|150|225 | vocab | merges |\n"
                 "       word-pieces VOCABULARY | words VOCABULARY\n";
    return 2;
  }
  return std::cout.flush() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
