#include "text/white_space.h"

#include <gtest/gtest.h>

namespace sdtune {
namespace {

TEST(WhiteSpace, StripsBothEndsOnly) {
  EXPECT_EQ(strip(" \t\r\n a b \v\f"), "a b");
  EXPECT_EQ(strip("\x1c\x1f"
                  "a"),
            "a");
  EXPECT_EQ(strip("a"), "a");
  EXPECT_EQ(strip(" \n "), "");
  EXPECT_EQ(strip(""), "");
}

TEST(WhiteSpace, StripsWhatIsWiderThanAscii) {
  EXPECT_EQ(strip("\u3000青い目\u00A0"), "青い目");
  EXPECT_EQ(strip("\u2003 \u0085"), "");
  EXPECT_EQ(strip("\u200Ba"), "\u200Ba") << "a zero-width space is none for Python either";
}

TEST(WhiteSpace, LeavesBytesThatAreNotUtf8) { EXPECT_EQ(strip(" \x80\xff "), "\x80\xff"); }

TEST(WhiteSpace, IsFoundAnywhere) {
  EXPECT_TRUE(has_white_space(", "));
  EXPECT_TRUE(has_white_space("a\tb"));
  EXPECT_TRUE(has_white_space("、\u3000"));
  EXPECT_FALSE(has_white_space(","));
  EXPECT_FALSE(has_white_space("、"));
  EXPECT_FALSE(has_white_space(""));
}

}  // namespace
}  // namespace sdtune
