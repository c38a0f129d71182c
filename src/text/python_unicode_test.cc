#include "text/python_unicode.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace sdtune {
namespace {

TEST(DecodeUtf8, ReadsWellFormedText) {
  EXPECT_EQ(decode_utf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"), U"a\u00E9\u20AC\U0001F600");
  EXPECT_EQ(decode_utf8(std::string_view("\0x", 2)), std::u32string_view(U"\0x", 2));
  EXPECT_EQ(decode_utf8("\xF4\x8F\xBF\xBF"), U"\U0010FFFF");
}

// The expected texts are those of Python's bytes.decode("utf-8", "replace").
TEST(DecodeUtf8, ReplacesEachMaximalIllFormedPart) {
  EXPECT_EQ(decode_utf8("\x80z"), U"\uFFFDz");
  EXPECT_EQ(decode_utf8("\xC0\x80z"), U"\uFFFD\uFFFDz");            // overlong
  EXPECT_EQ(decode_utf8("\xE0\x80\x80z"), U"\uFFFD\uFFFD\uFFFDz");  // overlong
  EXPECT_EQ(decode_utf8("\xED\xA0\x80z"), U"\uFFFD\uFFFD\uFFFDz");  // surrogate
  EXPECT_EQ(decode_utf8("\xE2\x82z"), U"\uFFFDz");                  // cut short
  EXPECT_EQ(decode_utf8("\xF0\x9F\x98"), U"\uFFFD");                // cut short at the end
  EXPECT_EQ(decode_utf8("\xE2\xE2\x82\xAC"), U"\uFFFD\u20AC");      // a lead byte after a lead byte
  EXPECT_EQ(decode_utf8("\xF4\x90\x80\x80"), U"\uFFFD\uFFFD\uFFFD\uFFFD");  // above U+10FFFF
  EXPECT_EQ(decode_utf8("\xFF\xFE"), U"\uFFFD\uFFFD");
}

TEST(EncodeUtf8, UndoesDecode) {
  const std::u32string text = U"a\u00E9\u20AC\U0001F600\U0010FFFF";
  EXPECT_EQ(decode_utf8(encode_utf8(text)), text);
}

TEST(CharacterKind, FollowsTheCategories) {
  EXPECT_EQ(character_kind(U'a'), CharacterKind::kLetter);
  EXPECT_EQ(character_kind(U'\u4E2D'), CharacterKind::kLetter);
  EXPECT_EQ(character_kind(U'7'), CharacterKind::kNumber);
  EXPECT_EQ(character_kind(U'\u2167'), CharacterKind::kNumber);
  EXPECT_EQ(character_kind(U'\n'), CharacterKind::kSpace);
  EXPECT_EQ(character_kind(U'\u3000'), CharacterKind::kSpace);
  EXPECT_EQ(character_kind(U'\u2028'), CharacterKind::kSpace);
  EXPECT_EQ(character_kind(U'\u0301'), CharacterKind::kSymbol);
  EXPECT_EQ(character_kind(U'\U0001F600'), CharacterKind::kSymbol);
  EXPECT_EQ(character_kind(U'\v'), CharacterKind::kOther);
  EXPECT_EQ(character_kind(U'\u200D'), CharacterKind::kOther);
  EXPECT_EQ(character_kind(U'\uE000'), CharacterKind::kOther);
  EXPECT_EQ(character_kind(U'\u0378'), CharacterKind::kOther);
}

TEST(CharacterKind, KnowsNothingYoungerThanUnicode14) {
  EXPECT_EQ(character_kind(U'\U0001FAE7'), CharacterKind::kSymbol);  // bubbles, Unicode 14
  EXPECT_EQ(character_kind(U'\U0001FAE8'), CharacterKind::kOther);   // shaking face, Unicode 15
}

TEST(NormalizeNfc, ComposesAndReorders) {
  EXPECT_EQ(normalize_nfc(U"e\u0301"), U"\u00E9");
  EXPECT_EQ(normalize_nfc(U"q\u0307\u0323"), U"q\u0323\u0307");
  EXPECT_EQ(normalize_nfc(U"a\u0301\u0328"), U"\u0105\u0301");
  EXPECT_EQ(normalize_nfc(U"\u1112\u1161\u11AB"), U"\uD55C");
  EXPECT_EQ(normalize_nfc(U"\u1112\u1161\u11A7\u11A7"), U"\uD558\u11A7\u11A7");
  EXPECT_EQ(normalize_nfc(U"\u212B\u037E"), U"\u00C5;");
  EXPECT_EQ(normalize_nfc(U"\u0958"), U"\u0915\u093C");  // excluded from composition
  EXPECT_EQ(normalize_nfc(U""), U"");
}

TEST(NormalizeNfc, TakesBoundedTimeOnLongRunsOfMarks) {
  std::u32string text = U"a";
  for (int i = 0; i < 250'000; ++i) text += U"\u0301\u0323";
  const auto begin = std::chrono::steady_clock::now();
  const std::u32string normal = normalize_nfc(text);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
  EXPECT_EQ(normal.substr(0, 3), U"\u1EA1\u0323\u0323");
  EXPECT_EQ(normal.back(), U'\u0301');
}

TEST(Lower, FollowsPython) {
  EXPECT_EQ(lower(U"ABC\u00C9"), U"abc\u00E9");
  EXPECT_EQ(lower(U"\u0130"), U"i\u0307");
  EXPECT_EQ(lower(U"\u1E9E\u00DF"), U"\u00DF\u00DF");
}

TEST(Lower, EndsAWordWithTheFinalSigma) {
  EXPECT_EQ(lower(U"\u039F\u03A3"), U"\u03BF\u03C2");
  EXPECT_EQ(lower(U"\u039F\u03A3\u039F"), U"\u03BF\u03C3\u03BF");
  EXPECT_EQ(lower(U"\u03A3"), U"\u03C3");
  EXPECT_EQ(lower(U"A\u0301\u03A3."), U"a\u0301\u03C2.");
  EXPECT_EQ(lower(U"A\u03A3.B"), U"a\u03C3.b");
  EXPECT_EQ(lower(U"A1\u03A3"), U"a1\u03C3");
  EXPECT_EQ(lower(U"\u24B6\u03A3"), U"\u24D0\u03C2");
}

}  // namespace
}  // namespace sdtune
