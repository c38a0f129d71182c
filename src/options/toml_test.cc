#include "options/toml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>

#include "base/error.h"

namespace sdtune {
namespace {

TomlValue parse(const std::string& text) { return parse_toml(text, "f.toml"); }

const TomlValue& at(const TomlValue& table, const std::string& key) {
  for (const auto& [name, value] : table.entries) {
    if (name == key) return value;
  }
  throw std::out_of_range(key);
}

// The place of the error, or "" when there is none.
std::string place_of_error(const std::string& text) {
  try {
    parse(text);
  } catch (const UsageError& error) {
    return error.where();
  }
  return "";
}

TEST(Toml, ReadsEveryType) {
  const TomlValue root = parse(
      "# comment with é\n"
      "b = true\ni = -3\nd = 1e-4\ns = \"é\\n\"\n'quoted é' = 1\n"
      "a = [\n [[1]],\n  2 ]\n[[t]]\nx = 1\n[[t]]\nx = 2\n[u.v]\nw = '''\nmany # [[[ é\n'''\n");
  EXPECT_TRUE(std::get<bool>(at(root, "b").scalar));
  EXPECT_EQ(std::get<int64_t>(at(root, "i").scalar), -3);
  EXPECT_EQ(at(root, "i").line, 3);
  EXPECT_EQ(std::get<double>(at(root, "d").scalar), 1e-4);
  EXPECT_EQ(std::get<std::string>(at(root, "s").scalar), "é\n");
  EXPECT_EQ(std::get<int64_t>(at(root, "quoted é").scalar), 1);
  EXPECT_EQ(at(root, "a").items.size(), 2u);
  EXPECT_EQ(at(root, "t").items.size(), 2u);
  EXPECT_EQ(std::get<std::string>(at(at(at(root, "u"), "v"), "w").scalar), "many # [[[ é\n");
  EXPECT_EQ(root.entries.front().key, "b");  // the file's order, not the alphabet's
}

TEST(Toml, AcceptsAByteOrderMarkAndWindowsLines) {
  EXPECT_EQ(std::get<int64_t>(at(parse("\xef\xbb\xbfx = 1\r\ny = 2\r\n"), "y").scalar), 2);
}

TEST(Toml, RefusesHostileText) {
  EXPECT_EQ(place_of_error("a = 1\n[[[\n"), "f.toml:2");
  EXPECT_EQ(place_of_error("  [[[a]]]\n"), "f.toml:1");
  EXPECT_EQ(place_of_error("a = 1\ncafé = 2\n"), "f.toml:2");
  EXPECT_EQ(place_of_error("a é 2\n"), "f.toml:1");
  EXPECT_EQ(place_of_error("b = 2\na = 1\"é\"\n"), "f.toml:2");
  EXPECT_EQ(place_of_error(std::string("a = 1\nb = \"\0\"\n", 13)), "f.toml:2");
  EXPECT_EQ(place_of_error("a = 1\n\nb = \"\xff\"\n"), "f.toml:3");
  EXPECT_EQ(place_of_error("a = 99999999999999999999\n"), "f.toml:1");
  EXPECT_EQ(place_of_error("a = 1\na = 2\n"), "f.toml:2");
  EXPECT_EQ(place_of_error("a = \"open\nb = 1\n"), "f.toml:1");
  EXPECT_NE(place_of_error("a = \"\"\"open\n"), "");
  EXPECT_EQ(place_of_error("\n\nd = 1979-05-27\n"), "f.toml:3");
  EXPECT_EQ(place_of_error("a = "), "f.toml:1");
}

TEST(Toml, NamesWhatTheLibraryWouldNotSurvive) {
  for (const auto& [text, why] : {std::pair{"[[[a]]]", "three brackets begin no table"},
                                  {"é = 1", "a letter beyond ASCII stands outside quotes"}}) {
    try {
      parse(text);
      ADD_FAILURE() << text;
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(why));
    }
  }
}

TEST(Toml, StringsOfEveryKindKeepTheirText) {
  const auto text_of = [](const std::string& value) {
    return std::get<std::string>(at(parse("x = " + value + " # \"é'\ny = 1\n"), "x").scalar);
  };
  EXPECT_EQ(text_of(R"('a"b\é')"), R"(a"b\é)");
  EXPECT_EQ(text_of(R"("a'b\\\"é🎨\u00e9")"), "a'b\\\"é🎨é");
  EXPECT_EQ(text_of("\"\\\\é\""), "\\é");
  EXPECT_EQ(text_of("''"), "");
  EXPECT_EQ(text_of("\"\""), "");
  EXPECT_EQ(text_of("'''\n\\é\n\"\"\"'' '''"), "\\é\n\"\"\"'' ");
  EXPECT_EQ(text_of("'''a'''''"), "a''");
  EXPECT_EQ(text_of(R"("""a""""")"), R"(a"")");
  // Three quotes around: a, line break escaped, b, an escaped quote, a plain quote, c.
  EXPECT_EQ(text_of("\"\"\"a\\\n   b\\\"\"c\"\"\""), "ab\"\"c");
  EXPECT_EQ(place_of_error("x = \"\\é\"\n"), "f.toml:1");
  EXPECT_EQ(place_of_error("x = 'a\n'\n"), "f.toml:1");
  EXPECT_EQ(place_of_error("x = '''\n\n'''\ny = \"\\q\"\n"), "f.toml:4");
}

TEST(Toml, KeysMayBeQuoted) {
  const TomlValue root = parse("'é' = 1\n['ö'.b]\nc={'é'=1,\"ü\"=2}\nd=['é','ü']\n");
  EXPECT_EQ(root.entries.front().key, "é");
  EXPECT_EQ(at(at(at(root, "ö"), "b"), "c").entries.size(), 2u);
}

TEST(Toml, RefusesDepth) {
  const auto nested = [](int depth) {
    return "a = " + std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(place_of_error(nested(32)), "");
  EXPECT_EQ(place_of_error(nested(33)), "f.toml:1");
  EXPECT_EQ(place_of_error(std::string(500'000, '[')), "f.toml:1");
  EXPECT_EQ(place_of_error("a = " + std::string(500'000, '{')), "f.toml:1");
  std::string dotted = "a";
  for (int i = 0; i < 400'000; ++i) dotted += ".a";
  EXPECT_EQ(place_of_error(dotted + " = 1"), "f.toml:1");
  EXPECT_EQ(place_of_error("[" + dotted + "]"), "f.toml:1");
}

TEST(Toml, RefusesLongFiles) {
  EXPECT_EQ(place_of_error(std::string(kTomlLimit, '\n')), "");
  EXPECT_EQ(place_of_error(std::string(kTomlLimit + 1, '\n')), "f.toml");
}

TEST(Toml, WritesNumbersThatStayTheirType) {
  EXPECT_EQ(toml_text(1.0), "1.0");
  EXPECT_EQ(toml_text(-0.0), "-0.0");
  EXPECT_EQ(toml_text(2e-6), "2e-06");
  EXPECT_EQ(toml_text(0.1), "0.1");
  EXPECT_EQ(toml_text(int64_t{1}), "1");
  EXPECT_EQ(toml_text(true), "true");
  EXPECT_EQ(toml_text(std::vector<std::string>{}), "[]");
  EXPECT_EQ(toml_text("a\"\\\n\t\x7f\x01é"), "\"a\\\"\\\\\\n\\t\\u007f\\u0001é\"");
  EXPECT_EQ(toml_text(OptionValue{}), "");
}

RC_GTEST_PROP(Toml, DoublesReadBackTheSame, (uint64_t bits)) {
  const double number = std::bit_cast<double>(bits);
  RC_PRE(std::isfinite(number));
  const TomlValue root = parse("x = " + toml_text(number));
  RC_ASSERT(std::bit_cast<uint64_t>(std::get<double>(at(root, "x").scalar)) == bits);
}

RC_GTEST_PROP(Toml, WholeNumbersReadBackTheSame, (int64_t number)) {
  for (const int64_t each :
       {number, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    RC_ASSERT(std::get<int64_t>(at(parse("x = " + toml_text(each)), "x").scalar) == each);
  }
}

RC_GTEST_PROP(Toml, AnyBytesAreReadOrRefused, ()) {
  // Pieces that make structure likely, mixed with any bytes.
  const auto pieces = *rc::gen::container<std::vector<std::string>>(
      rc::gen::oneOf(rc::gen::element<std::string>("[", "]", "[[", "{", "}", "=", ".", ",", "\n",
                                                   "\"", "'", "\"\"\"", "'''", "\\", "a", "1", "é",
                                                   "#", " ", "\r", "true", "1e5", "_"),
                     rc::gen::string<std::string>()));
  std::string text;
  for (const std::string& piece : pieces) text += piece;
  try {
    parse(text);
  } catch (const UsageError& error) {
    RC_ASSERT(error.where().starts_with("f.toml:"));
  }
}

}  // namespace
}  // namespace sdtune
