#include "text/caption.h"

#include <gtest/gtest.h>

namespace sdtune {
namespace {

TEST(ComposeCaption, JoinsWithoutASpace) {
  EXPECT_EQ(compose_caption("a cat", "tag1, tag2"), "a cat,tag1, tag2");
  EXPECT_EQ(compose_caption("a cat", "tag", " | "), "a cat | tag");
}

TEST(ComposeCaption, OneAloneIsEnough) {
  EXPECT_EQ(compose_caption("a cat", ""), "a cat");
  EXPECT_EQ(compose_caption("", "tag1, tag2"), "tag1, tag2");
  EXPECT_EQ(compose_caption("", ""), "");
}

TEST(PlainCaption, KeepsTheFirstLine) {
  EXPECT_EQ(plain_caption("l1\nl2\nl3"), "l1");
  EXPECT_EQ(plain_caption("l1"), "l1");
  EXPECT_EQ(plain_caption("\nl2"), "");
  EXPECT_EQ(plain_caption(""), "");
}

}  // namespace
}  // namespace sdtune
