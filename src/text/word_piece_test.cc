#include "text/word_piece.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <fstream>
#include <random>

#include "base/error.h"
#include "text/word_piece_files.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Folder {
 public:
  Folder()
      : path_(std::filesystem::temp_directory_path() /
              ("sdtune-word-piece-" + std::to_string(std::random_device()()))) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return path_ / name;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

WordPieces words() {
  return {.pieces = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "cat", "##s", "un", "##aff", "##able",
                     ",", ".", "\u732B", "'", "s", "cafe"},
          .special = {0, 1, 2, 3}};
}

std::vector<int64_t> encoded(std::string_view text) {
  return WordPieceTokenizer(words()).encode(text);
}

std::string decoded(const std::vector<int64_t>& ids, WordPieces from = words()) {
  return WordPieceTokenizer(std::move(from)).decode(ids);
}

std::string refusal(const std::filesystem::path& path) {
  try {
    read_word_pieces(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(WordPiece, TakesTheLongestPieces) {
  EXPECT_THAT(encoded("A cats, unaffable."), ElementsAre(4, 5, 6, 10, 7, 8, 9, 11));
  EXPECT_THAT(encoded(" \t\n"), IsEmpty());
}

TEST(WordPiece, AWordThatCannotBeCutIsUnknownAsAWhole) {
  EXPECT_THAT(encoded("a catx cat"), ElementsAre(4, 1, 5));
  EXPECT_THAT(encoded("cat" + std::string(100, 's')), ElementsAre(1));
}

TEST(WordPiece, AccentsIdeographsAndBytesThatAreNotUtf8) {
  EXPECT_THAT(encoded("CAF\u00C9 cat\u732B"), ElementsAre(15, 5, 12));
  EXPECT_THAT(encoded("c\xFF\x01"
                      "at"),
              ElementsAre(5));
}

TEST(WordPiece, TextOfIds) {
  EXPECT_EQ(decoded({2, 4, 5, 6, 10, 5, 3, 0, 99}), "a cats , cat");
  EXPECT_EQ(decoded({6, 5, 6}), "##s cats");
  EXPECT_EQ(decoded({}), "");
}

TEST(WordPiece, SpacesBeforePunctuationAreClosedUpWhereAskedFor) {
  WordPieces pieces = words();
  pieces.tidy_pieces = true;
  EXPECT_EQ(decoded({5, 10, 5, 13, 14, 11}, pieces), "cat, cat ' s.");
  WordPieces text = words();
  text.tidy_text = true;
  EXPECT_EQ(decoded({5, 10, 5, 13, 14, 11}, text), "cat, cat's.");
}

TEST(WordPieceFiles, LinesAreIds) {
  const Folder folder;
  const WordPieces read = read_word_pieces(folder.write("vocab.txt", "[PAD]\n[UNK]\r\na\n[DEC]\n"));
  EXPECT_THAT(read.pieces, ElementsAre("[PAD]", "[UNK]", "a", "[DEC]", ""));
  EXPECT_THAT(read.special, ElementsAre(0, 1, 3));
  EXPECT_TRUE(read.lower_case);
  EXPECT_TRUE(read.tidy_text);
}

TEST(WordPieceFiles, TokenizerJsonComesFirst) {
  const Folder folder;
  folder.write("vocab.txt", "[UNK]\n");
  folder.write("tokenizer_config.json", R"({"clean_up_tokenization_spaces": true})");
  folder.write("tokenizer.json", R"({"model": {"type": "WordPiece", "vocab": {"b": 1, "[UNK]": 0}},
      "added_tokens": [{"id": 0, "content": "[UNK]", "special": true},
                       {"id": 3, "content": "[X]", "special": false}],
      "normalizer": {"lowercase": false}, "decoder": {"type": "WordPiece", "cleanup": true}})");
  const WordPieces read = read_word_pieces(folder.path());
  EXPECT_THAT(read.pieces, ElementsAre("[UNK]", "b", "", "[X]"));
  EXPECT_THAT(read.special, ElementsAre(0));
  EXPECT_FALSE(read.lower_case);
  EXPECT_TRUE(read.tidy_pieces);
  EXPECT_TRUE(read.tidy_text);
}

TEST(WordPieceFiles, SaysWhatIsWrong) {
  const Folder folder;
  EXPECT_THAT(refusal(folder.path()), HasSubstr("neither"));
  EXPECT_THAT(refusal(folder.write("a.json", "[]")), HasSubstr("no JSON object"));
  EXPECT_THAT(refusal(folder.write("b.json", R"({"model": {"type": "BPE", "vocab": {}}})")),
              HasSubstr("WordPiece"));
  EXPECT_THAT(refusal(folder.write("c.json", R"({"model": {"vocab": {"a": -1}}})")),
              HasSubstr("no small number"));
  EXPECT_THAT(refusal(folder.write("d.json", R"({"model": {"vocab": {}}, "added_tokens": [1]})")),
              HasSubstr("added_tokens"));
  EXPECT_THROW(WordPieceTokenizer({.pieces = {"a"}}), Error);
}

RC_GTEST_PROP(WordPiece, TakesAnyBytes, (const std::string& bytes)) {
  for (const int64_t id : encoded(bytes)) RC_ASSERT(id >= 1 && id < 16);
}

}  // namespace
}  // namespace sdtune
