#include "data/merge_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "data/picture_tree.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class MergeMetadata : public testing::Test {
 protected:
  MergeMetadata() {
    options_.train_data_dir = folder_ / "pics";
    options_.caption_extension = ".caption";
  }
  // A picture by its name alone: merging opens none.
  void picture(const std::string& name) { folder_.write("pics/" + name, "x"); }
  void text(const std::string& name, const std::string& text) {
    folder_.write("pics/" + name, text);
  }

  MergeReport merge() { return merge_texts(options_, metadata_); }
  std::string caption(const std::string& key) {
    const MetadataEntry* entry = metadata_.find(key);
    return entry == nullptr ? "(no entry)" : entry->text("caption").value_or("(none)");
  }
  std::vector<std::string> keys() {
    std::vector<std::string> keys;
    for (const MetadataEntry& entry : metadata_.entries()) keys.push_back(entry.key());
    return keys;
  }

  TestFolder folder_;
  MergeOptions options_;
  MetadataFile metadata_{"out.json"};
};

TEST_F(MergeMetadata, KeysAreStemsInTheOrderOfTheNames) {
  for (const char* stem : {"b", "a.b", "größe", "C"}) text(stem + std::string(".caption"), stem);
  for (const char* name : {"b.png", "a.b.webp", "größe.Jpg", "C.AVIF"}) picture(name);
  const MergeReport report = merge();
  EXPECT_EQ(report.pictures, 4u);
  EXPECT_EQ(report.merged, 4u);
  EXPECT_THAT(keys(), ElementsAre("C", "a.b", "b", "größe"));
  EXPECT_EQ(caption("a.b"), "a.b");
  EXPECT_EQ(caption("größe"), "größe");
}

TEST_F(MergeMetadata, FullPathsAreWrittenAsGiven) {
  picture("a.png");
  text("a.caption", "x");
  options_.full_path = true;
  merge();
  EXPECT_THAT(keys(), ElementsAre((folder_ / "pics/a.png").string()));
  const auto key = [&](const fs::path& folder) {
    options_.train_data_dir = folder;
    return metadata_key(options_, "s/a.png");
  };
  EXPECT_EQ(key("./data//pics/"), "data/pics/s/a.png");
  EXPECT_EQ(key("."), "s/a.png");
  EXPECT_EQ(key("../x"), "../x/s/a.png");
  EXPECT_EQ(key("/"), "/s/a.png");
}

TEST_F(MergeMetadata, SubFoldersOnlyWhenAsked) {
  for (const char* stem : {"a", "s/a", "s/t/b"}) {
    picture(stem + std::string(".png"));
    text(stem + std::string(".caption"), stem);
  }
  EXPECT_EQ(merge().pictures, 1u);
  EXPECT_THAT(keys(), ElementsAre("a"));
  options_.recursive = true;
  EXPECT_EQ(merge().merged, 3u);
  EXPECT_EQ(caption("s/a"), "s/a");
  EXPECT_EQ(caption("s/t/b"), "s/t/b");
}

TEST_F(MergeMetadata, TextsAreStrippedAndKeepTheirInnerLines) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"\xef\xbb\xbf a cat \r\n", "a cat"},
      {"one\r\ntwo\rthree\n\n", "one\ntwo\nthree"},
      {"\xe3\x80\x80\xc2\xa0wide\xe2\x80\xa8", "wide"},
      {"in ner\t\xe3\x80\x80x", "in ner\t\xe3\x80\x80x"},
      {" \n", ""},
      {"", ""}};
  for (size_t i = 0; i < cases.size(); ++i) {
    picture(std::to_string(i) + ".png");
    text(std::to_string(i) + ".caption", cases[i].first);
  }
  merge();
  for (size_t i = 0; i < cases.size(); ++i) EXPECT_EQ(caption(std::to_string(i)), cases[i].second);
}

TEST_F(MergeMetadata, OtherFieldsAndEntriesStay) {
  folder_.write("in.json", R"({"z": {"x": 1}, "a": {"caption": "old", "tags": "t", "n": [1]}})");
  metadata_ = MetadataFile::read(folder_ / "in.json");
  picture("a.png");
  text("a.caption", "new");
  merge();
  EXPECT_THAT(keys(), ElementsAre("z", "a"));
  EXPECT_EQ(caption("a"), "new");
  EXPECT_EQ(metadata_.find("a")->text("tags"), "t");
  EXPECT_TRUE(metadata_.find("a")->has("n"));
  EXPECT_TRUE(metadata_.find("z")->has("x"));
  options_.field = "tags";
  options_.caption_extension = "txt";
  text("a.txt", "1girl, solo");
  merge();
  EXPECT_EQ(metadata_.find("a")->text("tags"), "1girl, solo");
  EXPECT_EQ(caption("a"), "new");
}

TEST_F(MergeMetadata, MissingAndUnusableTextsAreReportedAndChangeNothing) {
  for (const char* name : {"a.png", "b.png", "c.png", "d.png", "caf\xe9.png"}) picture(name);
  text("b.caption", "caf\xe9");
  text("c.caption", std::string((1 << 20) + 1, 'x'));
  text("d.caption", "fine");
  text("caf\xe9.caption", "name");
  metadata_.find_or_add("b").set_text("caption", "kept");
  const MergeReport report = merge();
  EXPECT_THAT(report.missing, ElementsAre("a.png"));
  ASSERT_THAT(report.unreadable, SizeIs(3));
  EXPECT_THAT(report.unreadable[0], HasSubstr("b.caption (the text is not UTF-8)"));
  EXPECT_THAT(report.unreadable[1], HasSubstr("longer than"));
  EXPECT_THAT(report.unreadable[2], HasSubstr("not UTF-8"));
  EXPECT_EQ(report.merged, 1u);
  EXPECT_EQ(caption("b"), "kept");
  EXPECT_THAT(keys(), ElementsAre("b", "d"));
}

TEST_F(MergeMetadata, PicturesOfOneStemShareAnEntry) {
  picture("a.jpg");
  picture("a.png");
  text("a.caption", "both");
  const MergeReport report = merge();
  EXPECT_THAT(report.repeated, ElementsAre("a.png"));
  EXPECT_THAT(keys(), ElementsAre("a"));
  options_.full_path = true;
  EXPECT_THAT(merge().repeated, SizeIs(0));
}

TEST_F(MergeMetadata, FolderWithoutPicturesIsAnError) {
  folder_.write("pics/s/a.png", "x");
  EXPECT_THROW(merge(), Error);
  options_.train_data_dir = folder_ / "absent";
  EXPECT_THROW(merge(), Error);
}

TEST_F(MergeMetadata, StartsFromTheInputElseFromTheOutput) {
  folder_.write("in.json", R"({"in": {}})");
  folder_.write("out.json", R"({"out": {}})");
  EXPECT_NE(starting_metadata(folder_ / "in.json", folder_ / "out.json").find("in"), nullptr);
  EXPECT_NE(starting_metadata({}, folder_ / "out.json").find("out"), nullptr);
  EXPECT_TRUE(starting_metadata({}, folder_ / "new.json").entries().empty());
  EXPECT_THROW(starting_metadata(folder_ / "absent.json", folder_ / "out.json"), Error);
}

TEST_F(MergeMetadata, TreesAreSortedAndLeaveOutLinksAndDotFolders) {
  for (const char* name : {"b.png", "a/z.png", "a.png", "a/b/c.png", ".hidden/x.png"})
    picture(name);
  fs::create_directory_symlink(folder_ / "pics", folder_ / "pics/a/circle");
  EXPECT_THAT(picture_tree(folder_ / "pics", true),
              ElementsAre("a/b/c.png", "a/z.png", "a.png", "b.png"));
  EXPECT_THAT(picture_tree(folder_ / "pics", false), ElementsAre("a.png", "b.png"));
}

}  // namespace
}  // namespace sdtune
