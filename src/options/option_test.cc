#include "options/option.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace sdtune {
namespace {

Option option_of(OptionKind kind) { return {.name = "x", .kind = kind}; }

OptionValue parse(const Option& option, const std::string& text) {
  return parse_value(option, text, "here");
}

TEST(Option, ReadsWholeNumbers) {
  Option option = option_of(OptionKind::kInteger);
  EXPECT_EQ(parse(option, "12"), OptionValue(int64_t{12}));
  EXPECT_EQ(parse(option, "+12"), OptionValue(int64_t{12}));
  EXPECT_EQ(parse(option, "-9223372036854775808"),
            OptionValue(std::numeric_limits<int64_t>::min()));
  for (const char* wrong : {"", "a", "1.5", "1 ", "0x10", "++1", "+-1", "9223372036854775808"}) {
    EXPECT_THROW(parse(option, wrong), UsageError) << wrong;
  }
  option.largest = std::numeric_limits<int>::max();
  EXPECT_EQ(parse(option, "-2147483648"), OptionValue(int64_t{-2147483648}));
  EXPECT_THROW(parse(option, "2147483648"), UsageError);
}

TEST(Option, ReadsNumbers) {
  const Option option = option_of(OptionKind::kNumber);
  EXPECT_EQ(parse(option, "1e-4"), OptionValue(1e-4));
  EXPECT_EQ(parse(option, ".5"), OptionValue(0.5));
  EXPECT_EQ(parse(option, "-3"), OptionValue(-3.0));
  for (const char* wrong : {"", "nan", "inf", "1e999", "1,5", "1e-4x"}) {
    EXPECT_THROW(parse(option, wrong), UsageError) << wrong;
  }
}

TEST(Option, KeepsRanges) {
  Option option = option_of(OptionKind::kNumber);
  option.range = Range{0, 1};
  EXPECT_EQ(parse(option, "0"), OptionValue(0.0));
  EXPECT_EQ(parse(option, "1"), OptionValue(1.0));
  EXPECT_THROW(parse(option, "-1e-9"), UsageError);
  EXPECT_THROW(parse(option, "1.0000001"), UsageError);
}

TEST(Option, ReadsFlags) {
  const Option option = option_of(OptionKind::kFlag);
  EXPECT_EQ(parse(option, "true"), OptionValue(true));
  EXPECT_EQ(parse(option, "False"), OptionValue(false));
  EXPECT_EQ(parse(option, "0"), OptionValue(false));
  EXPECT_THROW(parse(option, "yes"), UsageError);
}

TEST(Option, ReadsSizes) {
  Option option = option_of(OptionKind::kSize);
  EXPECT_EQ(size_from(parse(option, "512")), (Size2{512, 512}));
  EXPECT_EQ(size_from(parse(option, "512, 768")), (Size2{512, 768}));
  EXPECT_EQ(size_from(check_value(option, int64_t{64}, "here")), (Size2{64, 64}));
  for (const char* wrong :
       {"", "0", "512,", ",512", "512,768,1", "-512", "512x768", "1e3", "99999999999"}) {
    EXPECT_THROW(parse(option, wrong), UsageError) << wrong;
  }
  option.range = Range{64, 1024};
  EXPECT_THROW(parse(option, "512,2048"), UsageError);
}

TEST(Option, ReadsStepsAndShares) {
  const Option option = option_of(OptionKind::kStepsOrRatio);
  const auto read = [&](const char* text) { return steps_from(parse(option, text)); };
  EXPECT_EQ(read("100"), (StepsOrRatio{100, 0}));
  EXPECT_EQ(read("1"), (StepsOrRatio{1, 0}));
  EXPECT_EQ(read("0"), (StepsOrRatio{0, 0}));
  EXPECT_EQ(read("0.25"), (StepsOrRatio{0, 0.25}));
  EXPECT_EQ(read("10%"), (StepsOrRatio{0, 0.1}));
  EXPECT_EQ(read("100%"), (StepsOrRatio{0, 1}));
  for (const char* wrong : {"", "%", "1.5", "100.0", "-1", "-0.5", "101%", "-1%"}) {
    EXPECT_THROW(parse(option, wrong), UsageError) << wrong;
  }
  EXPECT_THROW(check_value(option, 100.0, "here"), UsageError);
  EXPECT_THROW(check_value(option, true, "here"), UsageError);
  EXPECT_EQ(read("10%").of(1600), 160);
  EXPECT_EQ(read("100%").of(1600), 1600);
  EXPECT_EQ(read("7").of(1600), 7);
}

TEST(Option, ChoicesMatchInAnyCase) {
  Option option = option_of(OptionKind::kText);
  option.choices = {"no", "fp16", "FP16x"};
  EXPECT_EQ(parse(option, "FP16"), OptionValue("fp16"));
  EXPECT_THROW(parse(option, ""), UsageError);
  try {
    parse(option, "fp15");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "'fp15' is no value for --x");
    EXPECT_EQ(error.where(), "here");
    EXPECT_EQ(error.hint(), "give one of no, fp16, FP16x; did you mean fp16?");
  }
}

TEST(Option, TextIsUtf8WithoutNul) {
  EXPECT_TRUE(is_plain_text("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xa8"));
  EXPECT_FALSE(is_plain_text(std::string_view("a\0b", 3)));
  for (const char* wrong : {"\xff", "\xc3", "\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                            "\xe2\x82", "\xf8\x88\x80\x80\x80"}) {
    EXPECT_FALSE(is_plain_text(wrong));
    EXPECT_THROW(parse(option_of(OptionKind::kText), wrong), UsageError);
    EXPECT_THROW(parse(option_of(OptionKind::kList), wrong), UsageError);
  }
}

TEST(Option, SaysWhatIsAccepted) {
  Option option = option_of(OptionKind::kInteger);
  EXPECT_EQ(accepted_text(option), "a whole number");
  option.range = Range{1, kUnlimited};
  EXPECT_EQ(accepted_text(option), "a whole number from 1 up");
  option.range = Range{1, 10};
  EXPECT_EQ(accepted_text(option), "a whole number from 1 to 10");
  option.kind = OptionKind::kNumber;
  option.range = Range{-kUnlimited, 0.5};
  EXPECT_EQ(accepted_text(option), "a number up to 0.5");
}

}  // namespace
}  // namespace sdtune
