#include "text/caption_cleaning.h"

#include <gtest/gtest.h>

namespace sdtune {
namespace {

// --- tags --------------------------------------------------------------------------------------

TEST(CleanTags, UnderscoresBecomeSpacesButNotInTheFace) {
  EXPECT_EQ(clean_tags("black_hair, ^_^, hat_on_head"), "black hair, ^_^, hat on head");
  EXPECT_EQ(clean_tags(">_<, ^__^"), "> <, ^  ^");
}

TEST(CleanTags, RatingAndWhatFollowsGo) {
  EXPECT_EQ(clean_tags("1girl, hat, rating:safe, dog"), "1girl, hat");
  EXPECT_EQ(clean_tags("a, rating:safe, b, rating:safe"), "a");
  EXPECT_EQ(clean_tags("a, operating table"), "a, operating table");
  EXPECT_EQ(clean_tags("rating:safe, a"), "rating:safe, a") << "nothing stands before it";
}

TEST(CleanTags, OnePersonKeepsAll) {
  const std::string tags = "1girl, long hair, short hair, blue eyes, red eyes, braid, ahoge";
  EXPECT_EQ(clean_tags(tags), tags);
}

TEST(CleanTags, SeveralPeopleAreFoundAnywhereInTheText) {
  EXPECT_EQ(clean_tags("2girls, blue eyes, red eyes"), "2girls");
  EXPECT_EQ(clean_tags("2boys, blue eyes, red eyes"), "2boys");
  EXPECT_EQ(clean_tags("cowboys hat, blue eyes, red eyes"), "cowboys hat");
  EXPECT_EQ(clean_tags("1girl, 1boy, blue eyes, red eyes"), "1girl, 1boy, blue eyes, red eyes");
  EXPECT_EQ(clean_tags("a, blue eyes, red eyes, rating, 2girls"), "a, blue eyes, red eyes")
      << "people after the rating are gone";
}

TEST(CleanTags, OneOfAKindStays) {
  const std::string tags = "2girls, long hair, bob cut, blue eyes, long sleeves, ponytail";
  EXPECT_EQ(clean_tags(tags), tags);
}

TEST(CleanTags, TwoOfAKindGo) {
  EXPECT_EQ(clean_tags("2girls, long hair, short hair"), "2girls");
  EXPECT_EQ(clean_tags("2girls, medium hair, short hair"), "2girls");
  EXPECT_EQ(clean_tags("2girls, bob cut, hime cut"), "2girls");
  EXPECT_EQ(clean_tags("2girls, blue-green eyes, red eyes, closed_eyes, x"), "2girls, x");
  EXPECT_EQ(clean_tags("2girls, sleeveless, long sleeves"), "2girls");
  for (const char* style :
       {"ponytail", "ahoge", "twintails", "double bun", "single hair bun", "single side bun",
        "two side up", "two tails", "french braid", "sidelocks"}) {
    EXPECT_EQ(clean_tags(std::string("2girls, braid, ") + style), "2girls") << style;
  }
  EXPECT_EQ(clean_tags("2girls, blue eyes, blue eyes"), "2girls") << "twice the same counts as two";
}

TEST(CleanTags, KindsAreWholeTags) {
  const std::string tags =
      "2girls, very long hair, short hair, big blue eyes, eyes, red eyes, long ponytail, braids, "
      "bun";
  EXPECT_EQ(
      clean_tags(tags),
      "2girls, very long hair, short hair, big blue eyes, red eyes, long ponytail, braids, bun")
      << "only the last rule finds something: eyes";
}

TEST(CleanTags, HairColorsGoButOneHairLengthStays) {
  EXPECT_EQ(clean_tags("2girls, long hair, red hair, blue hair"), "2girls, long hair");
  EXPECT_EQ(clean_tags("2girls, long hair, red hair"), "2girls, long hair, red hair")
      << "the protected length does not count";
  EXPECT_EQ(clean_tags("2girls, long hair, short hair, red hair"), "2girls, red hair");
  EXPECT_EQ(clean_tags("2girls, bl\u00FC-1_a hair, red hair"),
            "2girls, bl\u00FC-1 a hair, red hair")
      << "an underscore is a space by now";
  EXPECT_EQ(clean_tags("2girls, gr\u00FCn hair, multi-colored hair"), "2girls");
}

TEST(CleanTags, EndingsOfLongerTagsGo) {
  EXPECT_EQ(clean_tags("shirt, white shirt, hat"), "white shirt, hat");
  EXPECT_EQ(clean_tags("white shirt, shirt, shirt"), "white shirt");
  EXPECT_EQ(clean_tags("long white shirt, white shirt, shirt"), "long white shirt, white shirt")
      << "only single words go";
  EXPECT_EQ(clean_tags("shirt, t-shirt, shirt lift"), "shirt, t-shirt, shirt lift");
  EXPECT_EQ(clean_tags("<3, big <3"), "<3, big <3") << "no word";
}

TEST(CleanTags, HairOrnamentCountsAsAWord) {
  EXPECT_EQ(clean_tags("hair ornament, flower hair ornament"), "flower hair ornament");
  EXPECT_EQ(clean_tags("hair ornament, ornament"), "hair ornament");
  EXPECT_EQ(clean_tags("hair ornament, chair ornament"), "hair ornament, chair ornament");
  EXPECT_EQ(clean_tags("hair ornament, ornament, flower hair ornament"), "flower hair ornament");
}

TEST(CleanTags, JoinsWithCommaAndSpace) {
  EXPECT_EQ(clean_tags(" a,b ,, c,"), "a, b, c");
  EXPECT_EQ(clean_tags(""), "");
  EXPECT_EQ(clean_tags(" , ,"), "");
}

TEST(CleanTags, TakesAMegabyte) {
  std::string tags = "2girls";
  while (tags.size() < 1 << 20) tags += ", x" + std::to_string(tags.size()) + " shirt, y";
  EXPECT_EQ(clean_tags(tags), tags);
  EXPECT_EQ(clean_tags(std::string(1 << 20, '_')), "");
}

// --- captions ----------------------------------------------------------------------------------

TEST(CleanCaption, EachRule) {
  const std::pair<const char*, const char*> rules[] = {
      {"an anime anime style", "an anime style"},
      {"a young cat", "a cat"},
      {"an anime girl", "an girl"},
      {"cartoon female", "girl"},
      {"cartoon lady", "girl"},
      {"cartoon characters", "girls"},
      {"cartoon woman", "girl"},
      {"cartoon women", "girls"},
      {"cartoon girl", "girl"},
      {"anime female", "girl"},
      {"anime lady", "girl"},
      {"anime character", "girl"},
      {"anime woman", "girl"},
      {"anime women", "girls"},
      {"a lady", "a girl"},
      {"a female", "a girl"},
      {"a woman", "a girl"},
      {"two women", "two girls"},
      {"people", "girls"},
      {"a person", "a girl"},
      {"a cartoon figure", "a figure"},
      {"a cartoon image", "an image"},
      {"a cartoon picture", "a picture"},
      {"a cartoon drawing", "a drawing"},
      {"an anime cartoon image", "an image"},
      {"a cartoon anime drawing", "a drawing"},
      {"a girl girl girl", "a girl"},
  };
  for (const auto& [from, to] : rules) EXPECT_EQ(clean_caption(from), to) << from;
}

TEST(CleanCaption, RulesWorkOnResultsOfEarlierOnes) {
  EXPECT_EQ(clean_caption("a young woman and a female person"), "a girl and a girl");
  EXPECT_EQ(clean_caption("an anime young girl"), "an girl");
  EXPECT_EQ(clean_caption("a cartoon anime girl"), "a girl");
}

TEST(CleanCaption, IsRepeatedUntilNothingChanges) {
  EXPECT_EQ(clean_caption("anime anime anime anime anime"), "anime");
  EXPECT_EQ(clean_caption("cartoon cartoon cartoon girl"), "girl");
  EXPECT_EQ(clean_caption("yoyoung ung cat"), "cat");
}

TEST(CleanCaption, WorksWithinWords) {
  EXPECT_EQ(clean_caption("a salesperson"), "a salesgirl");
  EXPECT_EQ(clean_caption("Woman"), "Woman") << "only as written";
  EXPECT_EQ(clean_caption("a cat"), "a cat");
  EXPECT_EQ(clean_caption(""), "");
}

TEST(CleanCaption, HostileTextTakesLinearTime) {
  constexpr int kDepth = 100000;  // as many passes over a megabyte, one after the other
  std::string nested;
  for (int i = 0; i < kDepth; ++i) nested += "youn";
  for (int i = 0; i < kDepth; ++i) nested += "g ";
  EXPECT_EQ(clean_caption(nested), "");
}

}  // namespace
}  // namespace sdtune
