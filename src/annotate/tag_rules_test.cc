#include "annotate/tag_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

const std::vector<Tag> kTags = {{"safe", TagKind::kRating},
                                {"risky", TagKind::kRating},
                                {"long_hair", TagKind::kGeneral},
                                {"^_^", TagKind::kGeneral},
                                {"solo", TagKind::kGeneral},
                                {"ann_(sea)", TagKind::kCharacter},
                                {"bob_(hat)_(sea)", TagKind::kCharacter}};
const std::vector<float> kScores = {0.2f, 0.7f, 0.35f, 0.5f, 0.9f, 0.6f, 0.8f};

TagRules rules() {
  return {.thresholds = {{TagKind::kGeneral, 0.35f}, {TagKind::kCharacter, 0.35f}}};
}

std::vector<std::string> tags(const TagRules& rules) {
  return TagWriter(kTags, rules).tags_of(kScores);
}

TEST(TagRules, InTheListsOrderFromTheThresholdOn) {
  TagRules wanted = rules();
  EXPECT_THAT(tags(wanted),
              ElementsAre("long_hair", "^_^", "solo", "ann_(sea)", "bob_(hat)_(sea)"));
  wanted.thresholds[TagKind::kGeneral] = 0.36f;
  wanted.thresholds[TagKind::kCharacter] = 0.7f;
  EXPECT_THAT(tags(wanted), ElementsAre("^_^", "solo", "bob_(hat)_(sea)"));
}

TEST(TagRules, HighestFirst) {
  TagRules wanted = rules();
  wanted.by_score = true;
  EXPECT_THAT(tags(wanted),
              ElementsAre("solo", "bob_(hat)_(sea)", "ann_(sea)", "^_^", "long_hair"));
}

TEST(TagRules, WhatComesFirstIsPutThereOneByOne) {
  TagRules wanted = rules();
  wanted.characters_first = true;
  EXPECT_THAT(tags(wanted),
              ElementsAre("bob_(hat)_(sea)", "ann_(sea)", "long_hair", "^_^", "solo"));
  wanted.always_first = {"solo", "absent", "long_hair"};
  EXPECT_THAT(tags(wanted),
              ElementsAre("long_hair", "solo", "bob_(hat)_(sea)", "ann_(sea)", "^_^"));
}

TEST(TagRules, TheLikeliestRating) {
  TagRules wanted = rules();
  wanted.thresholds = {{TagKind::kCharacter, 0.7f}};
  wanted.rating = TagPlace::kFirst;
  EXPECT_THAT(tags(wanted), ElementsAre("risky", "bob_(hat)_(sea)"));
  wanted.rating = TagPlace::kLast;
  EXPECT_THAT(tags(wanted), ElementsAre("bob_(hat)_(sea)", "risky"));
  wanted.undesired = {"risky"};
  EXPECT_THAT(tags(wanted), ElementsAre("bob_(hat)_(sea)"));
  wanted.undesired = {};
  wanted.quality = TagPlace::kFirst;
  EXPECT_THAT(tags(wanted), ElementsAre("bob_(hat)_(sea)", "risky")) << "the list has no quality";
}

TEST(TagRules, Names) {
  TagRules wanted = rules();
  wanted.remove_underscore = true;
  EXPECT_THAT(tags(wanted),
              ElementsAre("long hair", "^_^", "solo", "ann (sea)", "bob (hat) (sea)"));
  wanted.expand_characters = true;
  EXPECT_THAT(tags(wanted), ElementsAre("long hair", "^_^", "solo", "ann, sea", "bob (hat), sea"));
  wanted.undesired = {"solo", "long_hair"};
  EXPECT_THAT(tags(wanted), ElementsAre("long hair", "^_^", "ann, sea", "bob (hat), sea"));
}

TEST(TagRules, CharactersAreCountedNotBytes) {
  TagRules wanted = rules();
  wanted.remove_underscore = true;
  const TagWriter writer({{"\xE7\x8C\xAB_\xE7\x8C\xAB", TagKind::kGeneral},
                          {"\xE7\x8C\xAB_\xE7\x8C\xAB\xE7\x8C\xAB", TagKind::kGeneral}},
                         wanted);
  EXPECT_THAT(writer.tags_of(std::vector<float>{1, 1}),
              ElementsAre("\xE7\x8C\xAB_\xE7\x8C\xAB", "\xE7\x8C\xAB \xE7\x8C\xAB\xE7\x8C\xAB"));
}

TEST(TagRules, ReplacedNamesCountFromThenOn) {
  TagRules wanted = rules();
  wanted.replacements = {
      {"solo", "alone"}, {"^_^", "long_hair"}, {"absent", "x"}, {"risky", "bold"}};
  wanted.always_first = {"alone"};
  wanted.rating = TagPlace::kLast;
  EXPECT_THAT(tags(wanted),
              ElementsAre("alone", "long_hair", "ann_(sea)", "bob_(hat)_(sea)", "bold"));
  EXPECT_THAT(TagWriter(kTags, wanted).unused_replacements(), ElementsAre("absent"));
  wanted.undesired = {"alone"};
  wanted.replacements.emplace_back("long_hair", "");
  EXPECT_THAT(tags(wanted), ElementsAre("long_hair", "ann_(sea)", "bob_(hat)_(sea)", "bold"))
      << "replaced by nothing it is left out, and ^_^ stands for it";
}

TEST(TagRules, ARatingThatIsReplacedByATagIsWrittenOnce) {
  TagRules wanted = rules();
  wanted.replacements = {{"risky", "solo"}};
  wanted.rating = TagPlace::kFirst;
  EXPECT_THAT(tags(wanted),
              ElementsAre("solo", "long_hair", "^_^", "ann_(sea)", "bob_(hat)_(sea)"));
}

TEST(TagRules, CharactersAloneAreOfASeries) {
  TagRules wanted = rules();
  wanted.expand_characters = true;
  const TagWriter writer({{"pen_(tool)", TagKind::kGeneral}}, wanted);
  EXPECT_THAT(writer.tags_of(std::vector<float>{1}), ElementsAre("pen_(tool)"));
}

TEST(TagRules, ReplacementsAreRead) {
  EXPECT_THAT(parse_replacements(""), IsEmpty());
  EXPECT_THAT(parse_replacements("a,b;c d,;"), ElementsAre(Pair("a", "b"), Pair("c d", "")));
  EXPECT_THAT(parse_replacements(R"(a\,b,c\;d;e\f,g)"),
              ElementsAre(Pair("a,b", "c;d"), Pair("e\\f", "g")));
  for (const char* text : {"a", "a,b,c", ",b", "a,b;c"}) {
    EXPECT_THROW(parse_replacements(text), UsageError) << text;
  }
}

TEST(TagRules, ListsOfTags) {
  EXPECT_THAT(listed_tags(" a b,c ,, d", ", "), ElementsAre("a b", "c", "d"));
  EXPECT_THAT(listed_tags("a b", " "), ElementsAre("a", "b"));
  EXPECT_THAT(listed_tags("a, b", " | "), ElementsAre("a, b"));
  EXPECT_THAT(listed_tags("", ", "), IsEmpty());
}

}  // namespace
}  // namespace sdtune
