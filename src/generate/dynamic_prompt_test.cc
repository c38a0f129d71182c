#include "generate/dynamic_prompt.h"

#include <gmock/gmock.h>

#include <set>

#include "base/error.h"

namespace sdtune {
namespace {

using testing::ElementsAre;

std::vector<std::string> expand(std::string_view text, uint64_t seed = 0) {
  Random random(seed, Draw::kPrompt);
  return expand_dynamic_prompt(text, random);
}

// What many draws give.
std::set<std::string> drawn(std::string_view text) {
  std::set<std::string> all;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const std::vector<std::string> prompts = expand(text, seed);
    EXPECT_EQ(prompts.size(), 1u);
    all.insert(prompts[0]);
  }
  return all;
}

TEST(DynamicPrompt, WithoutChoicesIsItself) {
  EXPECT_THAT(expand("a (cat:1.2), 5$$ | x"), ElementsAre("a (cat:1.2), 5$$ | x"));
  EXPECT_THAT(expand(""), ElementsAre(""));
}

TEST(DynamicPrompt, DrawsOneOrSeveral) {
  EXPECT_EQ(drawn("a {red|blue} cat"), (std::set<std::string>{"a red cat", "a blue cat"}));
  EXPECT_EQ(drawn("{2$$a|b}"), (std::set<std::string>{"a, b", "b, a"}));
  EXPECT_EQ(drawn("{0-1$$a}"), (std::set<std::string>{"", "a"}));
  EXPECT_EQ(drawn("{1-2$$ and $$a|b}"), (std::set<std::string>{"a", "b", "a and b", "b and a"}));
  EXPECT_EQ(drawn("{9$$+$$a}"), (std::set<std::string>{"a"}));
  EXPECT_EQ(drawn("{2-$$+$$a|b}"), (std::set<std::string>{"a+b", "b+a"}));
}

TEST(DynamicPrompt, TheSameDrawsGiveTheSamePrompt) {
  EXPECT_EQ(expand("{a|b|c|d} {3$$e|f|g|h}", 5), expand("{a|b|c|d} {3$$e|f|g|h}", 5));
}

TEST(DynamicPrompt, EnumeratesInOrder) {
  EXPECT_THAT(expand("{e$$a|b} x {E$$c|d}"), ElementsAre("a x c", "a x d", "b x c", "b x d"));
  EXPECT_THAT(expand("{e$$2$$a|b|c}"), ElementsAre("a, b", "a, c", "b, c"));
  EXPECT_THAT(expand("{e$$1-2$$ & $$a|b}"), ElementsAre("a", "b", "a & b"));
}

TEST(DynamicPrompt, NestsInnermostFirst) {
  EXPECT_EQ(drawn("{a|{b|c} d}"), (std::set<std::string>{"a", "b d", "c d"}));
  EXPECT_THAT(expand("{e$$a|{e$$b|c} d}"), ElementsAre("a", "b d", "a", "c d"));
}

TEST(DynamicPrompt, BracesCanBeText) {
  EXPECT_THAT(expand("\\{a|b\\}"), ElementsAre("{a|b}"));
  EXPECT_THAT(expand("a} b {c"), ElementsAre("a} b {c"));
  EXPECT_THAT(expand("{e$$\\{|\\}}"), ElementsAre("{", "}"));
  EXPECT_THAT(expand("\\(a\\)"), ElementsAre("\\(a\\)"));
}

TEST(DynamicPrompt, RefusesTooMany) {
  const std::string ten = "{e$$0|1|2|3|4|5|6|7|8|9}";
  EXPECT_EQ(expand(ten + ten + ten).size(), 1000u);
  EXPECT_THROW(expand(ten + ten + ten + ten + ten), UsageError);
  std::string many = "{e$$0-40$$0";
  for (int i = 1; i < 40; ++i) many += "|x";
  EXPECT_THROW(expand(many + "}"), UsageError);
}

}  // namespace
}  // namespace sdtune
