#include "text/clip_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Clock = std::chrono::steady_clock;

const ClipTokenizer& tokenizer() {
  static const ClipTokenizer instance;
  return instance;
}

std::vector<int32_t> ids(std::string_view text) { return tokenizer().encode(text); }
std::vector<int32_t> ids_v2(std::string_view text) {
  return tokenizer().encode(text, TextFamily::kV2);
}

// The texts of the tokens joined, with a space where a word ends.
std::string joined(const std::vector<int32_t>& tokens) {
  static const std::vector<std::string> texts = clip_token_texts();
  std::string text;
  for (const int32_t token : tokens) {
    text += texts[token];
    if (!text.ends_with(kEndOfWord)) continue;
    text.resize(text.size() - std::string_view(kEndOfWord).size());
    text += ' ';
  }
  return text;
}

TEST(ClipTokenizer, Golden) {
  EXPECT_THAT(ids("a photo of a cat"), ElementsAre(320, 1125, 539, 320, 2368));
  EXPECT_THAT(ids("A  Photo\tof\na CAT "), ElementsAre(320, 1125, 539, 320, 2368));
  EXPECT_THAT(ids("hello world!"), ElementsAre(3306, 1002, 256));
}

TEST(ClipTokenizer, EmptyAndBlankTexts) {
  EXPECT_THAT(ids(""), IsEmpty());
  EXPECT_THAT(ids(" \t\r\n\xC2\xA0"), IsEmpty());
  EXPECT_THAT(ids(std::string_view("\0\v\x7F", 3)), IsEmpty());
}

TEST(ClipTokenizer, CutsNumbersContractionsAndIdeographs) {
  EXPECT_EQ(joined(ids("it's 2024")), "it 's 2 0 2 4 ");
  EXPECT_EQ(joined(ids("we'll!'s")), "we 'll !' s ");
  const auto apart = ids("\xE4\xB8\xAD \xE6\x96\x87");
  EXPECT_EQ(ids("\xE4\xB8\xAD\xE6\x96\x87"), apart);
}

TEST(ClipTokenizer, SpecialTokensInTheText) {
  EXPECT_THAT(ids("<|startoftext|>a<|endoftext|>"), ElementsAre(kBos, 320, kEos));
  EXPECT_THAT(ids("a <|ENDOFTEXT|>"), ElementsAre(320, kEos));
  EXPECT_THAT(ids("<<|endoftext|>"), ElementsAre(283, kEos));
  EXPECT_EQ(joined(ids("<|endoftext")), "<| endoftext ");
}

TEST(ClipTokenizer, ExclamationMarkIsASpecialTokenInV2) {
  EXPECT_THAT(ids("wow!!"), ElementsAre(2781, 748));
  EXPECT_THAT(ids_v2("wow!!"), ElementsAre(2781, 0, 0));
  EXPECT_EQ(ids_v2("a photo, of <|endoftext|>"), ids("a photo, of <|endoftext|>"));
}

TEST(ClipTokenizer, LeavesOutWhatIsNotUtf8) {
  const auto plain = ids("a cat");
  EXPECT_EQ(ids("\xFF\x61 c\xC0\x80\x61t\xE2\x82"), plain);
  EXPECT_EQ(ids("\xED\xA0\x80\x61 cat\xF4\x90\x80\x80"), plain);
  EXPECT_EQ(ids("a c\xEF\xBF\xBD\x61t"), plain);
}

RC_GTEST_PROP(ClipTokenizer, TakesAnyBytes, (const std::string& bytes)) {
  for (const int32_t id : tokenizer().encode(bytes)) RC_ASSERT(id >= 0 && id < kClipVocabularySize);
}

// Lower-case letters and spaces come back as they were.
RC_GTEST_PROP(ClipTokenizer, KeepsEveryLetter, ()) {
  const auto words = *rc::gen::container<std::vector<std::string>>(rc::gen::nonEmpty(
      rc::gen::container<std::string>(rc::gen::inRange('a', static_cast<char>('z' + 1)))));
  std::string text;
  for (const std::string& word : words) text += word + " ";
  RC_ASSERT(joined(tokenizer().encode(text)) == text);
}

TEST(ClipTokenizer, LongTextsTakeBoundedTime) {
  std::string sentences;
  while (sentences.size() < 100'000) sentences += "A photo of 3 cats, it's raining! ";
  std::string word;
  for (uint32_t i = 0; word.size() < 1'000'000; ++i) word += static_cast<char>('a' + i * i % 25);
  const auto begin = Clock::now();
  const std::string joined_sentence = "a photo of 3 cats , it 's raining ! ";
  EXPECT_EQ(joined(ids(sentences)).substr(0, joined_sentence.size()), joined_sentence);
  EXPECT_EQ(joined(ids(word)), word + " ");
  EXPECT_EQ(joined(ids(std::string(1'000'000, '<'))), std::string(1'000'000, '<') + " ");
  // Quadratic time would be hours; an unoptimised build with sanitizers takes half a minute.
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(120));
}

TEST(ClipTokenizer, IsReadyAtOnce) {
  Clock::duration best = Clock::duration::max();
  for (int i = 0; i < 5; ++i) {
    const auto begin = Clock::now();
    const ClipTokenizer fresh;
    best = std::min(best, Clock::now() - begin);
  }
  EXPECT_LT(best, std::chrono::milliseconds(50));
}

TEST(ClipTokenizer, ThreadsShareOneTokenizer) {
  const std::string text = "two CATS & a d\xC3\xB6g, it's 100 \xF0\x9F\x98\x80 <|endoftext|>";
  const auto expected = ids(text);
  std::vector<std::thread> threads;
  std::vector<int> equal(4, 0);
  for (int& count : equal) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) count += ids(text) == expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(equal, testing::Each(500));
}

TEST(ClipVocabulary, TextsAreUniqueAndInOrder) {
  std::vector<std::string> texts = clip_token_texts();
  ASSERT_EQ(texts.size(), static_cast<size_t>(kClipVocabularySize));
  EXPECT_EQ(texts[0], "!");
  EXPECT_EQ(texts[320], "a</w>");
  EXPECT_EQ(texts[kBos], "<|startoftext|>");
  EXPECT_EQ(texts[kEos], "<|endoftext|>");
  std::sort(texts.begin(), texts.end());
  EXPECT_EQ(std::adjacent_find(texts.begin(), texts.end()), texts.end());
}

}  // namespace
}  // namespace sdtune
