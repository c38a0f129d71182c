#include "base/numbers.h"

#include <gmock/gmock.h>

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Numbers, AreAllOfTheText) {
  EXPECT_EQ(number_in<double>("-1.5e-3"), -1.5e-3);
  EXPECT_EQ(number_in<int>("12"), 12);
  for (const char* text : {"", " 1", "1 ", "+1", "1x", "0x10", "nan", "inf", "-inf", "1e999"}) {
    EXPECT_FALSE(number_in<double>(text)) << text;
  }
  EXPECT_FALSE(number_in<int>("1.5"));
  EXPECT_FALSE(number_in<int>("3000000000"));
}

TEST(Numbers, StandInListsWithCommasOrWhiteSpaceBetween) {
  EXPECT_THAT(list_words("1,2,3"), ElementsAre("1", "2", "3"));
  EXPECT_THAT(list_words(" 1 , 2\t3\r\n4\n"), ElementsAre("1", "2", "3", "4"));
  EXPECT_THAT(list_words("1"), ElementsAre("1"));
  EXPECT_THAT(list_words(""), IsEmpty());
  EXPECT_THAT(list_words(" \n"), IsEmpty());
  EXPECT_THAT(list_words("1,,2"), ElementsAre("1", "", "2"));
  EXPECT_THAT(list_words(",1"), ElementsAre("", "1"));
  EXPECT_THAT(list_words("1 , "), ElementsAre("1", ""));
  EXPECT_THAT(list_words(","), ElementsAre("", ""));
}

}  // namespace
}  // namespace sdtune
