#include "text/caption.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

namespace sdtune {
namespace {

using testing::UnorderedElementsAre;

std::string draw(const std::string& text, const CaptionOptions& options, uint64_t seed = 1,
                 const CaptionMoment& moment = {}) {
  Random random(seed, Draw::kCaption);
  return draw_caption(text, options, moment, random);
}

std::map<std::string, int> draws(const std::string& text, const CaptionOptions& options,
                                 int count = 1000) {
  std::map<std::string, int> counts;
  for (int seed = 0; seed < count; ++seed) ++counts[draw(text, options, seed)];
  return counts;
}

std::set<std::string> outcomes(const std::string& text, const CaptionOptions& options) {
  std::set<std::string> texts;
  for (const auto& [drawn, count] : draws(text, options)) texts.insert(drawn);
  return texts;
}

// --- compose_caption ---------------------------------------------------------------------------

TEST(ComposeCaption, JoinsWithoutASpace) {
  EXPECT_EQ(compose_caption("a cat", "tag1, tag2", {}), "a cat,tag1, tag2");
  EXPECT_EQ(compose_caption("a cat", "tag", {.caption_separator = " | "}), "a cat | tag");
}

TEST(ComposeCaption, OneAloneIsEnough) {
  for (const bool wildcard : {false, true}) {
    const CaptionOptions options{.enable_wildcard = wildcard};
    EXPECT_EQ(compose_caption("a cat", "", options), "a cat");
    EXPECT_EQ(compose_caption("", "tag1, tag2", options), "tag1, tag2");
    EXPECT_EQ(compose_caption("", "", options), "");
  }
}

TEST(ComposeCaption, KeepsTheFirstLine) {
  EXPECT_EQ(compose_caption("l1\nl2\nl3", "", {}), "l1");
  EXPECT_EQ(compose_caption("l1\r\nl2", "", {}), "l1");
  EXPECT_EQ(compose_caption("l1\nl2", "tag", {}), "l1");
  EXPECT_EQ(compose_caption("l1", "tag1\ntag2", {}), "l1,tag1");
  EXPECT_EQ(compose_caption("\nl2", "", {}), "");
}

TEST(ComposeCaption, WithWildcardsEachLineGetsTheTags) {
  const CaptionOptions options{.enable_wildcard = true};
  EXPECT_EQ(compose_caption("l1\nl2", "a, b", options), "l1,a, b\nl2,a, b");
  EXPECT_EQ(compose_caption("l1\r\nl2", "a", options), "l1,a\nl2,a");
  EXPECT_EQ(compose_caption("l1\nl2", "", options), "l1\nl2");
}

TEST(ComposeCaption, WithWildcardsTagsBecomeOneLine) {
  const CaptionOptions options{.enable_wildcard = true, .caption_separator = ";"};
  EXPECT_EQ(compose_caption("l1", "a\nb\r\nc", options), "l1;a;b;c");
  EXPECT_EQ(compose_caption("", "a\nb", options), "a;b");
}

TEST(ComposeCaption, WithWildcardsBlankLinesAreNoCaptions) {
  const CaptionOptions options{.enable_wildcard = true};
  EXPECT_EQ(compose_caption("l1\n\n  \nl2\n", "a", options), "l1,a\nl2,a");
  EXPECT_EQ(compose_caption("l1\n\nl2\n", "", options), "l1\nl2");
  EXPECT_EQ(compose_caption(" \n", "a", options), "a");
}

// --- 1: prefix and suffix ----------------------------------------------------------------------

TEST(DrawCaption, PutsPrefixAndSuffixOutside) {
  EXPECT_EQ(draw("a, b", {.caption_prefix = "P", .caption_suffix = "S"}), "P a, b S");
  EXPECT_EQ(draw("", {.caption_prefix = "P"}), "P ");
  EXPECT_EQ(draw("", {.caption_suffix = "S"}), " S");
}

TEST(DrawCaption, PrefixIsPartOfTheFirstTag) {
  CaptionOptions options{.keep_tokens = 1, .caption_prefix = "P", .caption_tag_dropout_rate = 1};
  EXPECT_EQ(draw("a, b", options), "P a");
}

// --- 2: dropout --------------------------------------------------------------------------------

TEST(DrawCaption, DropsAtTheRate) {
  const auto counts = draws("a, b", {.caption_prefix = "P", .caption_dropout_rate = 0.25}, 4000);
  ASSERT_EQ(counts.size(), 2U);
  EXPECT_NEAR(counts.at(""), 1000, 120);
  EXPECT_EQ(draw("a", {.caption_dropout_rate = 1}), "");
}

TEST(DrawCaption, NothingIsAppliedToADroppedCaption) {
  EXPECT_EQ(draw("a", {.shuffle_caption = true,
                       .secondary_separator = ";",
                       .caption_prefix = "P",
                       .caption_suffix = "S",
                       .caption_dropout_rate = 1}),
            "");
}

TEST(DrawCaption, DropsEveryNthEpochCountedFromOne) {
  const CaptionOptions options{.caption_dropout_every_n_epochs = 3};
  std::string dropped;
  for (int64_t epoch = 0; epoch < 9; ++epoch) {
    dropped += draw("a", options, 1, {.epoch = epoch}).empty() ? 'x' : '.';
  }
  EXPECT_EQ(dropped, "..x..x..x");
}

// --- 3: wildcards, or the first line -----------------------------------------------------------

TEST(DrawCaption, WithoutWildcardsKeepsTheFirstLineAndBraces) {
  EXPECT_EQ(draw("l1\nl2", {}), "l1");
  EXPECT_EQ(draw("x {a|b} {{y}}", {}), "x {a|b} {{y}}");
}

TEST(DrawCaption, WithWildcardsDrawsALineAndAlternatives) {
  const CaptionOptions options{.enable_wildcard = true};
  const auto counts = draws("l1\nl2\nl3", options, 3000);
  ASSERT_EQ(counts.size(), 3U);
  for (const auto& [line, count] : counts) EXPECT_NEAR(count, 1000, 120) << line;
  EXPECT_THAT(outcomes("x {a|b}\ny", options), UnorderedElementsAre("x a", "x b", "y"));
  EXPECT_EQ(draw("x {{y}} {a} {}", options), "x {y} a {}");
}

TEST(DrawCaption, WildcardsComeBeforeTags) {
  const CaptionOptions options{
      .enable_wildcard = true, .keep_tokens = 1, .caption_tag_dropout_rate = 1};
  EXPECT_THAT(outcomes("{a|b}, c", options), UnorderedElementsAre("a", "b"));
  EXPECT_THAT(outcomes("{a,b|c}", options), UnorderedElementsAre("a", "c"));
}

// --- 4: tags -----------------------------------------------------------------------------------

TEST(DrawCaption, WithoutTagOptionsTextStaysAsItIs) {
  EXPECT_EQ(draw(" a,b ,, c ||| d", {.keep_tokens = 1, .keep_tokens_separator = "|||"}),
            " a,b ,, c ||| d");
}

TEST(DrawCaption, KeepSeparatorCutsFixedFlexibleAndSuffix) {
  const CaptionOptions options{.keep_tokens_separator = "|||", .caption_tag_dropout_rate = 1};
  EXPECT_EQ(draw("a ||| b, c ||| d", options), "a, d");
  EXPECT_EQ(draw("a ||| b, c", options), "a");
  EXPECT_EQ(draw("||| b ||| d", options), "d");
  EXPECT_EQ(draw("a, , a2 ||| b ||| , d ||| e", options), "a, a2, d ||| e")
      << "empty tags go, and a third separator is text";
}

TEST(DrawCaption, KeepSeparatorGoesBeforeKeepTokens) {
  const CaptionOptions options{
      .keep_tokens = 2, .keep_tokens_separator = "|||", .caption_tag_dropout_rate = 1};
  EXPECT_EQ(draw("a ||| b, c, d", options), "a");
  EXPECT_EQ(draw("a, b, c", options), "a, b") << "without one in the text keep_tokens counts";
}

TEST(DrawCaption, KeepTokensCountsEmptyTags) {
  CaptionOptions options{.keep_tokens = 3, .caption_tag_dropout_rate = 1};
  EXPECT_EQ(draw("a,b,,c", options), "a, b, ");
  options.keep_tokens = 100;
  EXPECT_EQ(draw(" a ,b", options), "a, b");
  options.keep_tokens = -1;
  EXPECT_EQ(draw("a, b", options), "");
}

TEST(DrawCaption, WarmsTagsUp) {
  const std::string ten = "0,1,2,3,4,5,6,7,8,9";
  const CaptionOptions options{.token_warmup_min = 1, .token_warmup_step = 10};
  const std::map<int64_t, std::string> expected = {{0, "0"},
                                                   {1, "0"},
                                                   {5, "0, 1, 2, 3, 4"},
                                                   {9, "0, 1, 2, 3, 4, 5, 6, 7, 8"},
                                                   {10, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"},
                                                   {11, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"}};
  for (const auto& [step, text] : expected) {
    EXPECT_EQ(draw(ten, options, 1, {.step = step}), text) << step;
  }
}

TEST(DrawCaption, WarmUpBelowOneIsAShareOfAllSteps) {
  const CaptionOptions options{.token_warmup_step = 0.5};
  EXPECT_EQ(draw("a,b,c,d", options, 1, {.step = 25, .total_steps = 100}), "a, b");
  EXPECT_EQ(draw("a,b,c,d", options, 1, {.step = 50, .total_steps = 100}), "a, b, c, d");
  EXPECT_EQ(draw("a,b,c,d", options, 1, {.step = 0, .total_steps = 1}), "a, b, c, d")
      << "half of one step is none";
}

TEST(DrawCaption, WarmUpLeavesFixedTagsAndShortCaptions) {
  CaptionOptions options{.keep_tokens = 2, .token_warmup_min = 1, .token_warmup_step = 10};
  EXPECT_EQ(draw("a,b,c,d", options), "a, b, c");
  options = {.token_warmup_min = 5, .token_warmup_step = 10};
  for (int64_t step = 0; step < 10; ++step) {
    EXPECT_EQ(draw("a,b,c", options, 1, {.step = step}), "a, b, c") << step;
  }
  options.token_warmup_min = -7;
  EXPECT_EQ(draw("a,b,c", options), "");
}

TEST(DrawCaption, ShufflesAllOrdersEquallyOften) {
  const auto counts = draws("a,b,c", {.shuffle_caption = true}, 6000);
  ASSERT_EQ(counts.size(), 6U);
  for (const auto& [text, count] : counts) EXPECT_NEAR(count, 1000, 150) << text;
}

TEST(DrawCaption, ShuffleLeavesFixedAndSuffixTags) {
  EXPECT_THAT(outcomes("a,b,c,d", {.shuffle_caption = true, .keep_tokens = 2}),
              UnorderedElementsAre("a, b, c, d", "a, b, d, c"));
  EXPECT_THAT(outcomes("a|b,c|d", {.shuffle_caption = true, .keep_tokens_separator = "|"}),
              UnorderedElementsAre("a, b, c, d", "a, c, b, d"));
}

TEST(DrawCaption, WarmUpComesBeforeShuffle) {
  const CaptionOptions options{
      .shuffle_caption = true, .token_warmup_min = 2, .token_warmup_step = 10};
  EXPECT_THAT(outcomes("a,b,c,d", options), UnorderedElementsAre("a, b", "b, a"));
}

TEST(DrawCaption, DropsEachFlexibleTagAtTheRate) {
  const auto counts = draws("k,a,b", {.keep_tokens = 1, .caption_tag_dropout_rate = 0.25}, 16000);
  ASSERT_EQ(counts.size(), 4U);
  EXPECT_NEAR(counts.at("k"), 1000, 150);
  EXPECT_NEAR(counts.at("k, a"), 3000, 250);
  EXPECT_NEAR(counts.at("k, b"), 3000, 250);
  EXPECT_NEAR(counts.at("k, a, b"), 9000, 300);
}

TEST(DrawCaption, JoinsWithTheSeparatorAndASpaceWhereItHasNone) {
  const auto joined = [](const std::string& text, const std::string& separator) {
    return draw(text, {.caption_separator = separator, .keep_tokens = 9, .token_warmup_step = 1});
  };
  EXPECT_EQ(joined("a,b", ","), "a, b");
  EXPECT_EQ(joined("a;b;c", ";"), "a; b; c");
  EXPECT_EQ(joined("a | b | c", " | "), "a | b | c");
  EXPECT_EQ(joined("a b c", " "), "a b c");
  EXPECT_EQ(joined("青い目、帽子", "、"), "青い目、 帽子");
  EXPECT_EQ(joined("a,b", ""), "a,b") << "an empty separator cuts nowhere";
}

// --- 5: secondary separator --------------------------------------------------------------------

TEST(DrawCaption, SecondarySeparatorBecomesTheFirst) {
  EXPECT_EQ(draw("a;;;b, c", {.secondary_separator = ";;;"}), "a,b, c");
  EXPECT_EQ(draw(";;;a;;;", {.secondary_separator = ";;;"}), ",a,");
}

TEST(DrawCaption, SecondarySeparatorHoldsTagsTogether) {
  EXPECT_THAT(outcomes("a;b,c", {.shuffle_caption = true, .secondary_separator = ";"}),
              UnorderedElementsAre("a,b, c", "c, a,b"));
}

// --- draws -------------------------------------------------------------------------------------

TEST(DrawCaption, DependsOnTheGivenDrawsAlone) {
  const CaptionOptions options{
      .shuffle_caption = true, .enable_wildcard = true, .caption_tag_dropout_rate = 0.3};
  const std::string text = "a,b,{c|d},e\nf,g,h";
  for (uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(draw(text, options, seed), draw(text, options, seed));
  }
}

TEST(DrawCaption, DrawsStayWhatTheyWere) {
  EXPECT_EQ(draw("a,b,c,d,e,f", {.shuffle_caption = true}, 7), "f, e, d, a, b, c");
  EXPECT_EQ(draw("a,b,c,d,e,f", {.caption_tag_dropout_rate = 0.5}, 7), "b, c, d, e, f");
  EXPECT_EQ(draw("{a|b|c|d}{e|f|g|h}", {.enable_wildcard = true}, 7), "dh");
}

TEST(DrawCaption, DrawsOfOneRuleAreNotMovedByAnother) {
  const CaptionOptions shuffled{.shuffle_caption = true};
  CaptionOptions more = shuffled;
  more.enable_wildcard = true;
  more.caption_dropout_rate = 0.5;
  int kept = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const std::string drawn = draw("a,b,c,d,e", more, seed);
    if (drawn.empty()) continue;
    ++kept;
    EXPECT_EQ(drawn, draw("a,b,c,d,e", shuffled, seed));
  }
  EXPECT_GT(kept, 20);
}

TEST(DrawCaption, ShuffleLeavesWhichPlacesAreDropped) {
  const std::string alike = "a,a,a,a,a,a,a,a";
  for (uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(draw(alike, {.caption_tag_dropout_rate = 0.5}, seed),
              draw(alike, {.shuffle_caption = true, .caption_tag_dropout_rate = 0.5}, seed));
  }
}

TEST(DrawCaption, TakesEquallyManyDrawsWhateverIsOn) {
  const auto next_after = [](const CaptionOptions& options) {
    Random random(1, Draw::kCaption);
    draw_caption("a,b,c", options, {}, random);
    return random.next();
  };
  EXPECT_EQ(next_after({}), next_after({.shuffle_caption = true, .caption_dropout_rate = 0.5}));
}

// --- is_constant -------------------------------------------------------------------------------

TEST(IsConstant, WithoutDraws) {
  EXPECT_TRUE(is_constant("a, b", {}));
  EXPECT_TRUE(is_constant("a {b|c}\nd", {}));
  EXPECT_TRUE(is_constant("a ;b", {.secondary_separator = ";", .caption_prefix = "P"}));
}

TEST(IsConstant, FollowsDropout) {
  EXPECT_FALSE(is_constant("a", {.caption_dropout_rate = 0.1}));
  EXPECT_FALSE(is_constant("a", {.caption_dropout_every_n_epochs = 2}));
  EXPECT_TRUE(is_constant("a", {.caption_dropout_every_n_epochs = 1}));
  EXPECT_TRUE(is_constant("a,b", {.shuffle_caption = true, .caption_dropout_rate = 1}));
  EXPECT_TRUE(is_constant("", {.caption_dropout_rate = 0.1})) << "empty either way";
  EXPECT_FALSE(is_constant("", {.caption_prefix = "P", .caption_dropout_rate = 0.1}));
}

TEST(IsConstant, FollowsWildcards) {
  const CaptionOptions options{.enable_wildcard = true};
  EXPECT_FALSE(is_constant("a\nb", options));
  EXPECT_FALSE(is_constant("{a|b}", options));
  EXPECT_TRUE(is_constant("{a} {{b|c}}", options));
}

TEST(IsConstant, FollowsTags) {
  const CaptionOptions shuffled{.shuffle_caption = true, .keep_tokens = 1};
  EXPECT_FALSE(is_constant("a,b,c", shuffled));
  EXPECT_TRUE(is_constant("a,b", shuffled));
  EXPECT_TRUE(is_constant("a", shuffled));
  EXPECT_TRUE(is_constant("a,b,b", shuffled));
  const CaptionOptions dropping{.keep_tokens = 1, .caption_tag_dropout_rate = 0.1};
  EXPECT_FALSE(is_constant("a,b", dropping));
  EXPECT_TRUE(is_constant("a", dropping));
  const CaptionOptions warming{.token_warmup_min = 2, .token_warmup_step = 10};
  EXPECT_FALSE(is_constant("a,b,c", warming));
  EXPECT_TRUE(is_constant("a,b", warming));
}

}  // namespace
}  // namespace sdtune
