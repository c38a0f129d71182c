#include "text/wildcards.h"

#include <gtest/gtest.h>

#include <map>

namespace sdtune {
namespace {

std::map<std::string, int> expansions(std::string_view text, int draws = 3000) {
  std::map<std::string, int> counts;
  for (int i = 0; i < draws; ++i) {
    Random random(1, Draw::kCaption, i);
    ++counts[expand_wildcards(text, random)];
  }
  return counts;
}

// The one result that all draws give.
std::string only(std::string_view text) {
  const auto counts = expansions(text, 20);
  EXPECT_EQ(counts.size(), 1U) << text;
  return counts.begin()->first;
}

TEST(Wildcards, AlternativesAreEquallyLikely) {
  const auto counts = expansions("a {red|green|blue} car");
  ASSERT_EQ(counts.size(), 3U);
  for (const char* color : {"red", "green", "blue"}) {
    EXPECT_NEAR(counts.at(std::string("a ") + color + " car"), 1000, 120) << color;
  }
}

TEST(Wildcards, GroupsAreDrawnApart) {
  EXPECT_EQ(expansions("{a|b}{c|d}").size(), 4U);
  EXPECT_EQ(expansions("{a|}x").size(), 2U) << "an alternative may be empty";
}

TEST(Wildcards, OneAlternativeLosesItsBraces) { EXPECT_EQ(only("x {a} y"), "x a y"); }

TEST(Wildcards, DoubledBracesStandForBraces) {
  EXPECT_EQ(only("x {{y}} {a}"), "x {y} a");
  EXPECT_EQ(only("{{a|b}}"), "{a|b}");
  EXPECT_EQ(only("{a{{b}}c}"), "a{b}c");
  EXPECT_EQ(only("{{{a}}}"), "{a}") << "the last brace of three opens, the last of three closes";
}

TEST(Wildcards, EmptyBracesStay) {
  EXPECT_EQ(only("{}"), "{}");
  EXPECT_EQ(only("a {} {b}"), "a {} b");
}

TEST(Wildcards, BracesWithoutTheirPartnersStay) {
  EXPECT_EQ(only("a { b"), "a { b");
  EXPECT_EQ(only("a } b"), "a } b");
  EXPECT_EQ(only("a|b"), "a|b");
  EXPECT_EQ(only("{a}}"), "{a}") << "a doubled brace closes nothing";
}

TEST(Wildcards, DoNotNest) {
  const auto counts = expansions("{a{b|c}d}", 100);
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_TRUE(counts.contains("a{bd}"));
  EXPECT_TRUE(counts.contains("cd}"));
}

TEST(Wildcards, KnowWhetherThereIsAChoice) {
  EXPECT_FALSE(has_one_expansion("x {a|b}"));
  EXPECT_FALSE(has_one_expansion("{a|a} {a|}"));
  for (const char* text : {"", "x", "{a}", "{a|a}", "{{a|b}}", "{}", "{a|b"}) {
    EXPECT_TRUE(has_one_expansion(text)) << text;
  }
}

TEST(Wildcards, TakeLinearTime) {
  Random random(1, Draw::kCaption);
  std::string hostile(1 << 20, 'x');
  for (size_t i = 0; i < hostile.size(); i += 2) hostile[i] = '{';
  EXPECT_EQ(expand_wildcards(hostile, random), hostile);
}

}  // namespace
}  // namespace sdtune
