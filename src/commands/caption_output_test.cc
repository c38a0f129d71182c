#include "commands/caption_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "formats/metadata_file.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

using testing::HasSubstr;
using testing::Not;

class CaptionOutputTest : public testing::Test {
 protected:
  CaptionOutputTest() {
    for (const char* name : {"a", "b", "c"}) {
      pictures_.push_back({folder_ / (std::string(name) + ".png"), name});
    }
  }

  std::unique_ptr<CaptionOutput> open(bool overwrite = false) {
    return caption_metadata({.output = out_, .start = start_, .overwrite = overwrite});
  }

  std::string caption(const std::string& key) {
    const MetadataFile metadata = MetadataFile::read(out_);
    const MetadataEntry* entry = metadata.find(key);
    return entry ? entry->text("caption").value_or("none") : "no entry";
  }

  TestFolder folder_;
  fs::path out_ = folder_ / "out.json";
  fs::path journal_ = folder_ / "out.json.captions.jsonl";
  std::optional<fs::path> start_;
  std::vector<CaptionedPicture> pictures_;
};

TEST_F(CaptionOutputTest, FilesThatAreNotEmptyCount) {
  const auto files = caption_files("txt");
  EXPECT_FALSE(files->has(pictures_[0]));
  folder_.write("a.txt", "");
  EXPECT_FALSE(files->has(pictures_[0]));
  files->keep(pictures_[0], "a caption");
  EXPECT_TRUE(files->has(pictures_[0]));
  EXPECT_EQ(read_file(folder_ / "a.txt"), "a caption\n");
  fs::create_hard_link(folder_ / "a.txt", folder_ / "other name");
  files->keep(pictures_[0], "another");
  EXPECT_EQ(read_file(folder_ / "other name"), "a caption\n") << "replaced, not written into";
}

TEST_F(CaptionOutputTest, MetadataIsWrittenWhenAllIsThere) {
  std::swap(pictures_[0], pictures_[2]);
  const auto first = open();
  first->keep(pictures_[2], "third");
  first->fail(pictures_[1], "no picture");
  EXPECT_FALSE(first->finish(pictures_));
  EXPECT_FALSE(fs::exists(out_));
  const auto second = open();
  EXPECT_TRUE(second->has(pictures_[2]));
  EXPECT_FALSE(second->has(pictures_[1])) << "it may be whole by now";
  second->keep(pictures_[0], "first \xE7\x8C\xAB");
  second->fail(pictures_[1], "no picture");
  EXPECT_TRUE(second->finish(pictures_));
  EXPECT_EQ(caption("c"), "first \xE7\x8C\xAB");
  EXPECT_EQ(caption("b"), "no entry");
  EXPECT_EQ(MetadataFile::read(out_).entries()[0].key(), "c") << "in the order of the pictures";
  EXPECT_FALSE(fs::exists(journal_));
}

TEST_F(CaptionOutputTest, OtherProcessesMayHaveBeenFaster) {
  const auto one = open();
  const auto other = open();
  one->keep(pictures_[0], "first");
  other->keep(pictures_[1], "second");
  other->keep(pictures_[2], "third");
  EXPECT_TRUE(one->finish(pictures_));
  EXPECT_TRUE(other->finish(pictures_));
  EXPECT_EQ(caption("b"), "second");
}

TEST_F(CaptionOutputTest, WhatIsThereIsKeptAndCounts) {
  folder_.write("out.json", R"({"b": {"tags": "x", "caption": "old"}, "z": {"caption": "far"}})");
  const auto output = open();
  EXPECT_TRUE(output->has(pictures_[1]));
  EXPECT_FALSE(output->has(pictures_[0]));
  output->keep(pictures_[0], "first");
  output->keep(pictures_[2], "third");
  EXPECT_TRUE(output->finish(pictures_));
  EXPECT_EQ(caption("b"), "old");
  EXPECT_EQ(caption("z"), "far");
  EXPECT_EQ(caption("c"), "third");
  EXPECT_THAT(read_file(out_), HasSubstr("\"tags\": \"x\""));
}

TEST_F(CaptionOutputTest, OverwritingCountsItsOwnCaptionsAlone) {
  folder_.write("out.json", R"({"a": {"caption": "old"}, "b": {"caption": "old"}})");
  pictures_[2].captioned = true;
  const auto output = open(true);
  for (const CaptionedPicture& picture : pictures_) EXPECT_FALSE(output->has(picture));
  output->keep(pictures_[0], "new");
  EXPECT_FALSE(output->finish(pictures_));
  const auto next = open(true);
  EXPECT_TRUE(next->has(pictures_[0])) << "an unfinished run is gone on with";
  next->keep(pictures_[1], "new");
  next->keep(pictures_[2], "new");
  EXPECT_TRUE(next->finish(pictures_));
  EXPECT_THAT(read_file(out_), Not(HasSubstr("old")));
}

TEST_F(CaptionOutputTest, MetadataThatNamedThePicturesIsTheStart) {
  start_ = folder_ / "in.json";
  folder_.write("in.json", R"({"a": {"caption": "given"}, "b": {"tags": "x"}})");
  pictures_.pop_back();
  pictures_[0].captioned = true;
  const auto output = open();
  EXPECT_TRUE(output->has(pictures_[0]));
  output->keep(pictures_[1], "second");
  EXPECT_TRUE(output->finish(pictures_));
  EXPECT_EQ(caption("a"), "given");
  EXPECT_EQ(caption("b"), "second");
}

TEST_F(CaptionOutputTest, WhatTheStartGotSinceIsTaken) {
  start_ = folder_ / "in.json";
  folder_.write("in.json", R"({"a": {"tags": "new"}, "b": {"caption": "given"}, "c": {}})");
  folder_.write("out.json", R"({"a": {"caption": "first"}, "c": {"caption": "third"}})");
  pictures_[1].captioned = true;
  const auto output = open();
  for (const CaptionedPicture& picture : pictures_) EXPECT_TRUE(output->has(picture));
  EXPECT_TRUE(output->finish(pictures_));
  EXPECT_EQ(caption("a"), "first");
  EXPECT_EQ(caption("b"), "given");
  EXPECT_THAT(read_file(out_), HasSubstr("\"tags\": \"new\""));
}

TEST_F(CaptionOutputTest, AProcessWithoutAPartLeavesWhatOthersWrote) {
  start_ = folder_ / "in.json";
  folder_.write("in.json", R"({"a": {}, "b": {}, "c": {}})");
  const auto one = open();
  const auto other = open();
  const auto idle = open();
  one->keep(pictures_[0], "first");
  other->keep(pictures_[1], "second");
  other->fail(pictures_[2], "no picture");
  EXPECT_TRUE(other->finish(pictures_));
  const std::string written = read_file(out_);
  EXPECT_TRUE(one->finish(pictures_)) << "what was written counts";
  idle->finish(pictures_);
  EXPECT_EQ(read_file(out_), written);
}

TEST_F(CaptionOutputTest, ALineThatWasCutShortIsNothing) {
  folder_.write("out.json.captions.jsonl",
                "{\"caption\":\"first\",\"key\":\"a\"}\n{\"caption\":\"cut\",\"key\":\"b\"");
  const auto output = open();
  EXPECT_TRUE(output->has(pictures_[0]));
  EXPECT_FALSE(output->has(pictures_[1]));
  output->keep(pictures_[1], "second");
  output->keep(pictures_[2], "third");
  EXPECT_TRUE(output->finish(pictures_));
  EXPECT_EQ(caption("b"), "second");
}

}  // namespace
}  // namespace sdtune
