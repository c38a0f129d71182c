// The vocabulary of a BERT tokenizer as models are published with it.
#pragma once

#include <filesystem>

#include "text/word_piece.h"

namespace sdtune {

// `path`: a vocab.txt (a piece a line, in the order of the ids), a tokenizer.json of the WordPiece
// kind, or a folder that has one of them, the latter first, and perhaps a tokenizer_config.json.
// A vocab.txt alone has
// BertTokenizer's defaults, and in it "[PAD]", "[UNK]", "[CLS]", "[SEP]" and "[MASK]" are special,
// and BLIP's "[DEC]" and "[ENC]". Error naming the file when it is missing, over 32 MiB, or no such
// vocabulary.
WordPieces read_word_pieces(const std::filesystem::path& path);

// Whether the folder has a vocabulary by one of these names.
bool has_word_pieces(const std::filesystem::path& folder);

}  // namespace sdtune
