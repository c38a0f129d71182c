#include "data/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "data/test_datasets.h"

namespace sdtune {
namespace {

using testing::HasSubstr;

// A folder with the files that keys may name; their contents do not matter here.
class Metadata : public testing::Test {
 protected:
  Metadata() {
    for (const char* name : {"img1.png", "img2.JPG", "a.b.webp", "sub/deep.png", "both.jpg",
                             "both.png", "notes.txt"}) {
      folder_.write(name, "x");
    }
  }

  std::vector<Sample> read(const std::string& json) {
    folder_.write("meta.json", json);
    return read_metadata(folder_ / "meta.json", folder_.path());
  }

  std::string error_of(const std::string& json) {
    return error_text([&] { read(json); });
  }

  fs::path image_of(const std::string& key) {
    return read("{\"" + key + "\": {\"caption\": \"c\"}}").at(0).image;
  }

  TestFolder folder_;
};

TEST_F(Metadata, KeysAreStemsNamesOrPaths) {
  EXPECT_EQ(image_of("img1"), folder_ / "img1.png");
  EXPECT_EQ(image_of("img1.png"), folder_ / "img1.png");
  EXPECT_EQ(image_of("img2"), folder_ / "img2.JPG");
  EXPECT_EQ(image_of("a.b"), folder_ / "a.b.webp");
  EXPECT_EQ(image_of("sub/deep"), folder_ / "sub/deep.png");
  EXPECT_EQ(image_of("both"), folder_ / "both.jpg");
  EXPECT_EQ(image_of("both.png"), folder_ / "both.png");
  EXPECT_EQ(image_of((folder_ / "img1.png").string()), folder_ / "img1.png");
  EXPECT_EQ(image_of((folder_ / "img2").string()), folder_ / "img2.JPG");
}

TEST_F(Metadata, FieldsAreReadAndOthersLeftAlone) {
  const auto samples = read(R"({
    "img2": {"caption": "two\nlines", "train_resolution": [640, 384], "image_size": [9, 9], "x": {}},
    "img1": {"tags": "1girl, solo", "caption": null},
    "both": {}})");
  ASSERT_EQ(samples.size(), 3u);
  EXPECT_EQ(samples[0].key, "img2");  // in the file's order
  EXPECT_EQ(samples[0].caption, "two\nlines");
  EXPECT_EQ(samples[0].train_resolution, (Size{640, 384}));
  EXPECT_EQ(samples[1].tags, "1girl, solo");
  EXPECT_EQ(samples[1].caption, "");
  EXPECT_FALSE(samples[2].train_resolution);
}

TEST_F(Metadata, MissingPicturesAreCountedAndShown) {
  const std::string error = error_of(
      R"({"img1": {}, "m1": {}, "m2": {}, "m3": {}, "m4": {}, "m5": {}, "m6": {}, "notes": {}})");
  EXPECT_THAT(error, HasSubstr("7 of 8 pictures"));
  EXPECT_THAT(error, HasSubstr("\"m1\", \"m2\", \"m3\", \"m4\", \"m5\", …"));
  EXPECT_THAT(error, HasSubstr(folder_.path().string()));
}

TEST_F(Metadata, FaultsNameFileAndKey) {
  EXPECT_THAT(error_of(R"({"img1": 3})"), HasSubstr("\"img1\" is not an object"));
  EXPECT_THAT(error_of(R"({"img1": {"caption": 3}})"), HasSubstr("caption that is not a string"));
  EXPECT_THAT(error_of(R"({"img1": {"tags": ["a"]}})"), HasSubstr("meta.json"));
  for (const char* size : {"[512]", "[512, 500]", "[512, -8]", "[512.0, 512]", "\"512\"", "[0, 8]",
                           "[18446744073709551615, 8]"}) {
    EXPECT_THAT(error_of(std::string(R"({"img1": {"train_resolution": )") + size + "}}"),
                HasSubstr("\"img1\" has a train_resolution"))
        << size;
  }
  EXPECT_THAT(error_of("[1, 2]"), HasSubstr("not one JSON object"));
}

TEST_F(Metadata, BadJsonIsRefused) {
  for (const char* json :
       {"", "{", "{\"img1\": {}", "{\"img1\": {}} {}", "{\"img1\": {\"caption\": \"\xff\"}}"}) {
    EXPECT_THAT(error_of(json), HasSubstr("no valid JSON")) << json;
  }
  EXPECT_THAT(error_of(std::string(100'000, '[')), HasSubstr("not one JSON object"));
  EXPECT_THAT(error_of("{\"img1\": {\"x\": " + std::string(100'000, '[')),
              HasSubstr("nested deeper than 32 levels"));
  EXPECT_THROW(read_metadata(folder_ / "absent.json", folder_.path()), Error);
}

TEST_F(Metadata, LinesOfJsonAreReadToo) {
  folder_.write("meta.jsonl",
                "{\"image_path\": \"img2\", \"caption\": \"two\"}\n"
                "{\"image_path\": \"img1.png\"}\n");
  const auto samples = read_metadata(folder_ / "meta.jsonl", folder_.path());
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].image, folder_ / "img2.JPG");
  EXPECT_EQ(samples[0].caption, "two");
  EXPECT_EQ(samples[1].image, folder_ / "img1.png");
}

TEST_F(Metadata, PlainFolderTakesTheTextsBesideThePictures) {
  folder_.write("img1.caption", "\xef\xbb\xbf a cat \r\n");
  folder_.write("img1.txt", "cat, animal\n");
  folder_.write("img2.txt", "dog");
  folder_.write(".hidden.png", "x");
  folder_.write("caf\xe9.png", "x");
  fs::create_directory(folder_ / "folder.png");
  fs::create_symlink(folder_ / "circle.png", folder_ / "circle.png");
  const auto samples = read_plain_folder(subset_of(folder_.path()));
  std::vector<std::string> names;
  for (const Sample& sample : samples) names.push_back(sample.key);
  EXPECT_EQ(names, (std::vector<std::string>{"a.b.webp", "both.jpg", "both.png", "caf\xe9.png",
                                             "circle.png", "img1.png", "img2.JPG"}));
  EXPECT_EQ(samples[5].caption, "a cat");
  EXPECT_EQ(samples[5].tags, "cat, animal");
  EXPECT_EQ(samples[6].caption, "");
  EXPECT_EQ(samples[6].tags, "dog");
}

TEST_F(Metadata, CaptionsAreInFilesOfTheExtension) {
  folder_.write("img1.cap", " from cap ");
  folder_.write("img1.caption", "not this");
  folder_.write("img1.txt", "tags");
  folder_.write("img2.txt", "only tags");
  const auto other = read_plain_folder(subset_of(folder_.path(), ".cap"));
  ASSERT_EQ(other.size(), 5u);
  EXPECT_EQ(other[3].caption, "from cap");
  EXPECT_EQ(other[3].tags, "tags");
  EXPECT_EQ(other[4].caption, "");
  EXPECT_EQ(other[4].tags, "only tags");
  const auto text = read_plain_folder(subset_of(folder_.path(), ".txt"));
  EXPECT_EQ(text[3].caption, "tags");
  EXPECT_EQ(text[3].tags, "");  // not the same text twice
}

TEST_F(Metadata, ClassTokensStandInForCaptionsThatAreNotThere) {
  folder_.write("img1.caption", "a cat");
  folder_.write("img2.caption", " \n");
  SubsetOptions subset = subset_of(folder_.path());
  subset.class_tokens = "an animal";
  const auto samples = read_plain_folder(subset);
  EXPECT_EQ(samples[3].caption, "a cat");
  EXPECT_EQ(samples[4].caption, "");  // there, and empty on purpose
  EXPECT_EQ(samples[0].caption, "an animal");
}

TEST_F(Metadata, PicturesCutAroundAFaceTakeTheWholePicturesCaption) {
  for (const char* name : {"who_10_20_30_40.png", "own_1_2_3_4.png", "no_1_2_3.png", "_1_2_3_4.png",
                           "bad_1_2_x_4.png", "gap_1__3_4.png", "five_9_1_2_3_4.png"}) {
    folder_.write(name, "x");
  }
  for (const char* name : {"who", "own", "own_1_2_3_4", "no", "bad", "gap", "five", "five_9"}) {
    folder_.write(std::string(name) + ".caption", std::string("of ") + name);
  }
  std::map<std::string, std::string> captions;
  for (const Sample& sample : read_plain_folder(subset_of(folder_.path()))) {
    captions[sample.key] = sample.caption;
  }
  EXPECT_EQ(captions["who_10_20_30_40.png"], "of who");
  EXPECT_EQ(captions["own_1_2_3_4.png"], "of own_1_2_3_4");
  EXPECT_EQ(captions["no_1_2_3.png"], "");
  EXPECT_EQ(captions["_1_2_3_4.png"], "");
  EXPECT_EQ(captions["bad_1_2_x_4.png"], "");
  EXPECT_EQ(captions["gap_1__3_4.png"], "");
  EXPECT_EQ(captions["five_9_1_2_3_4.png"], "of five_9");
}

TEST_F(Metadata, FolderThatIsNotThereIsAnError) {
  EXPECT_THROW(read_plain_folder(subset_of(folder_ / "absent")), Error);
}

}  // namespace
}  // namespace sdtune
