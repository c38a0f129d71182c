#include "text/prompt_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

#include <cmath>

#include "base/error.h"
#include "text/token_chunks.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using Pieces = std::vector<WeightedText>;

constexpr float kUp = 1.1F;
constexpr float kDown = 1 / 1.1F;

const ClipTokenizer& tokenizer() {
  static const ClipTokenizer instance;
  return instance;
}

// What is left of the text where no weight changes it.
std::string plain(std::string_view text) {
  const Pieces pieces = parse_prompt_weights(text);
  EXPECT_EQ(pieces.size(), 1U) << text;
  EXPECT_EQ(pieces[0].weight, 1) << text;
  return pieces[0].text;
}

void expect_pieces(std::string_view text, const Pieces& expected) {
  const Pieces pieces = parse_prompt_weights(text);
  ASSERT_EQ(pieces.size(), expected.size()) << text;
  for (size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_EQ(pieces[i].text, expected[i].text) << text;
    EXPECT_FLOAT_EQ(pieces[i].weight, expected[i].weight) << text << ": " << pieces[i].text;
  }
}

TEST(PromptWeights, EachBracket) {
  expect_pieces("a (b) c", {{"a ", 1}, {"b", kUp}, {" c", 1}});
  expect_pieces("a [b] c", {{"a ", 1}, {"b", kDown}, {" c", 1}});
  expect_pieces("a (b c:1.5) d", {{"a ", 1}, {"b c", 1.5F}, {" d", 1}});
  expect_pieces("(a:.5)(b:2.)(c:+3)(d:0.75)", {{"a", .5F}, {"b", 2}, {"c", 3}, {"d", .75F}});
}

TEST(PromptWeights, PlainTextAndNothing) {
  EXPECT_EQ(plain("a cat, on: a mat"), "a cat, on: a mat");
  EXPECT_EQ(plain(""), "");
  EXPECT_EQ(plain("()"), "");
  EXPECT_EQ(plain("[(])"), "");
}

TEST(PromptWeights, Multiply) {
  expect_pieces("((a))", {{"a", 1.21F}});
  expect_pieces("[[a]]", {{"a", 1 / 1.21F}});
  expect_pieces("(a (b:1.5) c:2)", {{"a ", 2}, {"b", 3}, {" c", 2}});
  expect_pieces("([a])", {{"a", 1}});
  expect_pieces("(a [b) c]", {{"a ", kUp}, {"b", 1}, {" c", kDown}});
}

TEST(PromptWeights, UnclosedBracketsCountToTheEnd) {
  expect_pieces("a (b, c", {{"a ", 1}, {"b, c", kUp}});
  expect_pieces("a [b", {{"a ", 1}, {"b", kDown}});
  expect_pieces("((a:2) b", {{"a", 2.2F}, {" b", kUp}});
  expect_pieces("(a:1.5", {{"a:1.5", kUp}});
}

TEST(PromptWeights, WhatStandsAloneIsText) {
  EXPECT_EQ(plain("a) b] :c :1.2) 12:30"), "a) b] :c :1.2) 12:30");
  expect_pieces("[a:1.5]", {{"a:1.5", kDown}});
  expect_pieces("(a:b)", {{"a:b", kUp}});
  expect_pieces("(a:1.2.3)", {{"a:1.2.3", kUp}});
  expect_pieces("(a: 1.5)", {{"a: 1.5", kUp}});
  expect_pieces("(a:.)", {{"a:.", kUp}});
  expect_pieces("(a:1e3)", {{"a:1e3", kUp}});
  expect_pieces("(a:+)", {{"a:+", kUp}});
}

TEST(PromptWeights, EscapedBracketsAreText) {
  EXPECT_EQ(plain(R"(a \(b\) \[c\] \\)"), R"(a (b) [c] \)");
  expect_pieces(R"((a \(b\):1.5))", {{"a (b)", 1.5F}});
  expect_pieces(R"(\\(a))", {{"\\", 1}, {"a", kUp}});
  EXPECT_EQ(plain(R"(a\b\)"), "ab");
}

TEST(PromptWeights, NeighboursOfOneWeightAreOnePiece) {
  expect_pieces("(a)(b)", {{"ab", kUp}});
  expect_pieces("a()b", {{"ab", 1}});
  expect_pieces("(a:1)b", {{"ab", 1}});
}

TEST(PromptWeights, StayPositiveAndFinite) {
  expect_pieces("(a:0)", {{"a", kLeastPromptWeight}});
  expect_pieces("(a:-2)", {{"a", kLeastPromptWeight}});
  expect_pieces("(a:1000000)", {{"a", kGreatestPromptWeight}});
  const std::string many(1 << 19, '(');
  expect_pieces(many + "a", {{"a", kGreatestPromptWeight}});
  expect_pieces(std::string(1 << 19, '[') + "a", {{"a", kLeastPromptWeight}});
  expect_pieces(many + "a" + std::string(1 << 19, ')') + "b",
                {{"a", kGreatestPromptWeight}, {"b", 1}});
}

TEST(PromptWeights, TakeLinearTime) {
  std::string deep;
  for (int i = 0; i < 1 << 18; ++i) deep += "(a";
  for (int i = 0; i < 1 << 18; ++i) deep += ":1.5)";
  EXPECT_EQ(parse_prompt_weights(deep).front().weight, 1.5F);
  EXPECT_EQ(parse_prompt_weights("(" + std::string(1 << 20, ':')).size(), 1U);
  EXPECT_EQ(parse_prompt_weights("(:" + std::string(1 << 20, '1')).size(), 1U);
}

// --- ids and weights ---------------------------------------------------------------------------

std::vector<float> head(const std::vector<float>& values, size_t count) {
  return {values.begin(), values.begin() + static_cast<ptrdiff_t>(count)};
}

TEST(WeightedTokenChunks, WeightsStandAtTheirTokens) {
  const WeightedTokens tokens =
      weighted_token_chunks(tokenizer(), "a (b:1.5) [c]", TextFamily::kV1, 75);
  EXPECT_EQ(tokens.ids, token_chunks(tokenizer(), "a b c", TextFamily::kV1, 75));
  ASSERT_EQ(tokens.weights.size(), 77U);
  EXPECT_THAT(head(tokens.weights, 6), ElementsAre(1, 1, 1.5F, testing::FloatEq(kDown), 1, 1));
}

TEST(WeightedTokenChunks, AWordOfSeveralTokensHasOneWeight) {
  const std::string word = "supercalifragilistic";
  const auto count = static_cast<size_t>(count_tokens(tokenizer(), word));
  ASSERT_GT(count, 2U);
  const WeightedTokens tokens =
      weighted_token_chunks(tokenizer(), "(" + word + ":2) a", TextFamily::kV1, 75);
  std::vector<float> expected = {1};
  expected.insert(expected.end(), count, 2);
  expected.push_back(1);
  EXPECT_EQ(head(tokens.weights, count + 2), expected);
}

TEST(WeightedTokenChunks, PiecesAreTokenizedAlone) {
  const WeightedTokens tokens = weighted_token_chunks(tokenizer(), "ca(t)", TextFamily::kV1, 75);
  EXPECT_EQ(tokens.ids, token_chunks(tokenizer(), "ca t", TextFamily::kV1, 75));
}

std::string cats(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "cat ";
  return text;
}

TEST(WeightedTokenChunks, GoOnInTheNextRow) {
  for (const TextFamily family : {TextFamily::kV1, TextFamily::kV2}) {
    const WeightedTokens tokens =
        weighted_token_chunks(tokenizer(), cats(74) + "(" + cats(3) + ":2)", family, 150);
    EXPECT_EQ(tokens.ids, token_chunks(tokenizer(), cats(77), family, 150));
    std::vector<float> expected(2 * kChunkLength, 1);
    expected[75] = expected[78] = expected[79] = 2;
    EXPECT_EQ(tokens.weights, expected);
    std::vector<float> joined(152, 1);
    joined[75] = joined[76] = joined[77] = 2;
    EXPECT_EQ(joined_weights(tokens.weights), joined);
  }
}

TEST(WeightedTokenChunks, WhatIsTooLongIsCutOff) {
  const WeightedTokens tokens = weighted_token_chunks(
      tokenizer(), "(" + cats(300) + ":2)(" + cats(9) + ":3)", TextFamily::kV2, 225);
  EXPECT_EQ(tokens.ids, token_chunks(tokenizer(), cats(300), TextFamily::kV2, 225));
  std::vector<float> expected(227, 2);
  expected.front() = expected.back() = 1;
  EXPECT_EQ(joined_weights(tokens.weights), expected);
}

TEST(WeightedTokenChunks, AFullRowEndsWithWeightOne) {
  const WeightedTokens tokens =
      weighted_token_chunks(tokenizer(), "(" + cats(90) + ":2)", TextFamily::kV1, 75);
  EXPECT_EQ(tokens.weights[75], 2);
  EXPECT_EQ(tokens.weights[76], 1);
  EXPECT_EQ(tokens.ids[76], kEos);
}

TEST(WeightedTokenChunks, RefuseOtherLengths) {
  for (const int length : {0, -75, 76, 77, 300}) {
    EXPECT_THROW(weighted_token_chunks(tokenizer(), "cat", TextFamily::kV1, length), UsageError);
  }
}

TEST(JoinedWeights, KeepTheFirstTheMiddlesAndTheLast) {
  std::vector<float> weights(3 * kChunkLength);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i);
  std::vector<float> expected = {0};
  for (const int begin : {1, 78, 155}) {
    for (int i = 0; i < kChunkTokens; ++i) expected.push_back(static_cast<float>(begin + i));
  }
  expected.push_back(230);
  EXPECT_EQ(joined_weights(weights), expected);
}

TEST(JoinedWeights, OneRowStaysAsItIs) {
  std::vector<float> weights(kChunkLength, 1);
  weights[5] = 2;
  EXPECT_EQ(joined_weights(weights), weights);
}

TEST(JoinedWeights, RefuseWhatIsNoRows) {
  EXPECT_THROW(joined_weights({}), Error);
  EXPECT_THROW(joined_weights(std::vector<float>(76)), Error);
  EXPECT_THROW(joined_weights(std::vector<float>(152)), Error);
}

// --- properties --------------------------------------------------------------------------------

std::string text_of(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += part;
  return text;
}

std::string any_prompt() {
  const auto part = rc::gen::oneOf(
      rc::gen::elementOf(std::vector<std::string>{"(", ")", "[", "]", ":", "\\", ":1.2)", ":0)",
                                                  ":9999999)", "cat", " ", "1.5", "ü", "!"}),
      rc::gen::arbitrary<std::string>());
  return text_of(*rc::gen::container<std::vector<std::string>>(part));
}

RC_GTEST_PROP(PromptWeightsProperty, WeightsArePositiveAndFinite, ()) {
  const std::string prompt = any_prompt();
  const TextFamily family = *rc::gen::element(TextFamily::kV1, TextFamily::kV2);
  const int length = *rc::gen::element(75, 150, 225);
  const WeightedTokens tokens = weighted_token_chunks(tokenizer(), prompt, family, length);
  RC_ASSERT(tokens.ids.size() == static_cast<size_t>(length / kChunkTokens * kChunkLength));
  RC_ASSERT(tokens.weights.size() == tokens.ids.size());
  for (const float weight : tokens.weights) RC_ASSERT(std::isfinite(weight) && weight > 0);
  for (size_t i = 0; i < tokens.weights.size(); i += kChunkLength) {
    RC_ASSERT(tokens.weights[i] == 1 && tokens.weights[i + kChunkLength - 1] == 1);
  }
  RC_ASSERT(joined_weights(tokens.weights).size() == static_cast<size_t>(length) + 2);
}

RC_GTEST_PROP(PromptWeightsProperty, PiecesDifferFromTheirNeighbours, ()) {
  const Pieces pieces = parse_prompt_weights(any_prompt());
  RC_ASSERT(!pieces.empty());
  for (size_t i = 1; i < pieces.size(); ++i) {
    RC_ASSERT(pieces[i].weight != pieces[i - 1].weight);
    RC_ASSERT(!pieces[i].text.empty());
  }
}

RC_GTEST_PROP(PromptWeightsProperty, PlainTextHasTheSameIds, ()) {
  std::string text = any_prompt();
  std::erase_if(text, [](char c) { return std::string_view("([\\").find(c) != std::string::npos; });
  const TextFamily family = *rc::gen::element(TextFamily::kV1, TextFamily::kV2);
  const WeightedTokens tokens = weighted_token_chunks(tokenizer(), text, family, 150);
  RC_ASSERT(tokens.ids == token_chunks(tokenizer(), text, family, 150));
  RC_ASSERT(tokens.weights == std::vector<float>(tokens.ids.size(), 1));
}

}  // namespace
}  // namespace sdtune
