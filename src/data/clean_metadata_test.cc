#include "data/clean_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CleanMetadata : public testing::Test {
 protected:
  MetadataFile read(const std::string& json) {
    folder_.write("in.json", json);
    return MetadataFile::read(folder_ / "in.json");
  }

  TestFolder folder_;
  CleaningRules rules_ = {
      .caption = [](std::string_view text) { return std::string(text) + "!"; },
      .tags =
          [](std::string_view text) { return text == "same" ? "same" : std::string(text) + "?"; }};
};

TEST_F(CleanMetadata, EachFieldGetsItsRuleAndOthersStay) {
  auto metadata = read(
      R"({"a": {"x": "x", "caption": "c", "tags": "t"}, "b": {"caption": "", "tags": "same"}})");
  const CleanReport report = clean_metadata(metadata, rules_);
  EXPECT_EQ(metadata.find("a")->text("caption"), "c!");
  EXPECT_EQ(metadata.find("a")->text("tags"), "t?");
  EXPECT_EQ(metadata.find("a")->text("x"), "x");
  EXPECT_EQ(metadata.find("b")->text("caption"), "!");
  EXPECT_EQ(metadata.find("b")->text("tags"), "same");
  EXPECT_EQ(report.captions_changed, 2u);
  EXPECT_EQ(report.tags_changed, 1u);
  EXPECT_THAT(report.without_tags, ElementsAre());
}

TEST_F(CleanMetadata, EntriesThatLackAFieldAreCountedAndKept) {
  auto metadata =
      read(R"({"a": {"caption": "c"}, "b": {"tags": "t", "caption": null}, "d": {"x": 1}})");
  const CleanReport report = clean_metadata(metadata, rules_);
  EXPECT_THAT(report.without_tags, ElementsAre("a", "d"));
  EXPECT_THAT(report.without_caption, ElementsAre("b", "d"));
  EXPECT_EQ(metadata.entries().size(), 3u);
  EXPECT_FALSE(metadata.find("a")->has("tags"));
  EXPECT_EQ(metadata.find("a")->text("caption"), "c!");
}

TEST_F(CleanMetadata, TheObserverSeesEveryText) {
  auto metadata = read(R"({"a": {"caption": "c", "tags": "same"}})");
  std::vector<std::string> seen;
  rules_.on_text = [&](const MetadataEntry& entry, std::string_view field, std::string_view before,
                       std::string_view after) {
    seen.push_back(entry.key() + " " + std::string(field) + " " + std::string(before) + " " +
                   std::string(after));
  };
  clean_metadata(metadata, rules_);
  EXPECT_THAT(seen, ElementsAre("a tags same same", "a caption c c!"));
}

TEST_F(CleanMetadata, TextsOfAnotherTypeAreErrorsThatNameTheKey) {
  auto metadata = read(R"({"a": {"caption": ["c"]}})");
  try {
    clean_metadata(metadata, rules_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("\"a\" has a caption that is not a string"));
    EXPECT_THAT(error.where(), HasSubstr("in.json"));
  }
}

}  // namespace
}  // namespace sdtune
