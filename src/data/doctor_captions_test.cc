#include "data/doctor_captions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> oddities(const std::string& caption, const std::string& tags = "") {
  return caption_oddities(caption, tags, {}, false);
}

TEST(CaptionOddities, PlainTextsHaveNone) {
  EXPECT_THAT(oddities("a cat on a mat"), IsEmpty());
  EXPECT_THAT(oddities("a cat", "1girl, solo, long hair"), IsEmpty());
  EXPECT_THAT(oddities("ratio 16:9, (a) {b} [c], R&B"), IsEmpty());
  EXPECT_THAT(oddities(""), IsEmpty());
}

TEST(CaptionOddities, EachKind) {
  EXPECT_THAT(oddities("one\ntwo"), ElementsAre("2 lines, of which only the first is used"));
  EXPECT_THAT(oddities("bell\a"), ElementsAre("a control character"));
  EXPECT_THAT(oddities("caf\xef\xbf\xbd"),
              ElementsAre("characters that were lost in another encoding (U+FFFD)"));
  EXPECT_THAT(oddities("salt &amp; pepper"), ElementsAre("an entity of HTML, as &amp;"));
  EXPECT_THAT(oddities("a {red|blue} cat"),
              ElementsAre("{…|…}, but --enable_wildcard is not given"));
  EXPECT_THAT(oddities("a (red:1.2) cat"),
              ElementsAre("(…:number), but --weighted_captions is not given"));
  EXPECT_THAT(oddities("a, , b"), ElementsAre("an empty tag"));
  EXPECT_THAT(oddities("cat, Cat", "mat, cat,mat"),
              ElementsAre("more than once: \"Cat\", \"mat\""));
}

TEST(CaptionOddities, OptionsTakeThemAway) {
  const CaptionOptions wildcards{.enable_wildcard = true};
  EXPECT_THAT(caption_oddities("a {red|blue} cat\n(b:1.5)", "", wildcards, true), IsEmpty());
  const CaptionOptions semicolons{.caption_separator = ";"};
  EXPECT_THAT(caption_oddities("a, , a", "", semicolons, true), IsEmpty());
}

TEST(CaptionTokens, WeightsAreNotCounted) {
  const ClipTokenizer tokenizer;
  EXPECT_EQ(caption_tokens(tokenizer, "a photo of a cat", {}), 5);
  EXPECT_EQ(caption_tokens(tokenizer, "a (photo:1.3) of a cat", {.weighted_captions = true}), 5);
  EXPECT_GT(caption_tokens(tokenizer, "a (photo:1.3) of a cat", {}), 5);
}

// Of one picture with this caption.
CheckedPicture counted(const std::string& caption, const CaptionOptions& rules) {
  Diagnosis diagnosis;
  diagnosis.pictures.resize(1);
  diagnosis.pictures[0].sample.caption = caption;
  SubsetOptions subset;
  subset.caption = rules;
  check_captions({subset}, {}, diagnosis);
  return diagnosis.pictures[0];
}

TEST(CheckCaptions, TheWholeCaptionCounts) {
  CaptionOptions rules;
  rules.caption_prefix = "a photo,";
  rules.caption_dropout_rate = 1;
  rules.caption_tag_dropout_rate = 1;
  rules.shuffle_caption = true;
  rules.token_warmup_step = 100;
  EXPECT_EQ(counted("cat, mat", rules).caption, "a photo, cat, mat");
}

TEST(CheckCaptions, TheLongestWildcardCounts) {
  CaptionOptions rules;
  rules.enable_wildcard = true;
  EXPECT_EQ(counted("a\n{b|c c c}", rules).caption, "c c c");
  EXPECT_EQ(counted("a\n{b|c c c}", rules).tokens, 3);
}

}  // namespace
}  // namespace sdtune
