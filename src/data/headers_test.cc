#include "data/headers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "data/test_datasets.h"

namespace sdtune {
namespace {

using testing::HasSubstr;

// Other bytes under the same stamp: whoever opens the file notices.
void damage_unnoticed(const fs::path& path) {
  const auto time = fs::last_write_time(path);
  const auto bytes = fs::file_size(path);
  std::ofstream(path, std::ios::binary) << std::string(bytes, 'x');
  fs::last_write_time(path, time);
}

class Headers : public testing::Test {
 protected:
  Headers() {
    write_png(folder_ / "a.png", test_picture(30, 20));
    write_png(folder_ / "b.png", test_picture(50, 40));
    folder_.write("c.png", "no picture");
    for (const char* name : {"a.png", "b.png", "c.png"}) make_old(folder_ / name);
  }

  std::vector<Header> read() {
    ImageIndex index(folder_ / "index/pictures.sqlite");
    index.load(folder_.path());
    return read_headers({folder_ / "a.png", folder_ / "b.png", folder_ / "c.png"}, 2, index);
  }

  TestFolder folder_;
};

TEST_F(Headers, AreGivenInOrderWithReasonsForBadOnes) {
  const auto headers = read();
  ASSERT_EQ(headers.size(), 3u);
  EXPECT_EQ(headers[0].size, (Size{30, 20}));
  EXPECT_EQ(headers[1].size, (Size{50, 40}));
  EXPECT_EQ(headers[0].reason, "");
  EXPECT_NE(headers[2].reason, "");
}

TEST_F(Headers, AreNotReadAgain) {
  read();
  damage_unnoticed(folder_ / "a.png");
  const auto headers = read();
  EXPECT_EQ(headers[0].size, (Size{30, 20}));
  EXPECT_EQ(headers[0].reason, "");
  EXPECT_NE(headers[2].reason, "");  // what could not be read is tried anew
}

TEST_F(Headers, OfChangedPicturesAreRead) {
  read();
  write_png(folder_ / "a.png", test_picture(33, 22));
  EXPECT_EQ(read()[0].size, (Size{33, 22}));
  damage_unnoticed(folder_ / "b.png");
  make_old(folder_ / "b.png", 1800);
  EXPECT_NE(read()[1].reason, "");
}

TEST_F(Headers, ThousandsAreReadInOrder) {
  std::vector<fs::path> pictures;
  for (int i = 0; i < 1000; ++i) pictures.push_back(folder_ / (i % 3 ? "a.png" : "b.png"));
  ImageIndex none{fs::path()};
  const auto headers = read_headers(pictures, 3, none);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(headers[i].size.width, i % 3 ? 30 : 50);
}

TEST_F(Headers, HashesAreRememberedBesideSizes) {
  const fs::path picture = folder_ / "a.png";
  const std::string hash = hash_file(picture);
  {
    ImageIndex index(folder_ / "index/pictures.sqlite");
    read_headers({picture}, 1, index);
    EXPECT_EQ(picture_hash(picture, index), hash);
    index.commit();
  }
  damage_unnoticed(picture);
  ImageIndex index(folder_ / "index/pictures.sqlite");
  index.load(folder_.path());
  EXPECT_EQ(picture_hash(picture, index), hash);
  EXPECT_EQ(read()[0].size, (Size{30, 20}));
  make_old(picture, 1800);
  EXPECT_EQ(picture_hash(picture, index), hash_file(picture));
}

TEST_F(Headers, OfPicturesThatChangeInTheRunAreReadInTheNext) {
  ImageIndex index(folder_ / "index/pictures.sqlite");
  read_headers({folder_ / "a.png"}, 1, index);
  write_png(folder_ / "a.png", test_picture(33, 22));
  make_old(folder_ / "a.png", 1800);
  EXPECT_EQ(picture_hash(folder_ / "a.png", index), hash_file(folder_ / "a.png"));
  index.commit();
  EXPECT_EQ(read()[0].size, (Size{33, 22}));
}

TEST_F(Headers, SecondStartOfADatasetOpensNoPicture) {
  fs::remove(folder_ / "c.png");
  const DatasetOptions options = dataset_of({subset_of(folder_.path())});
  Dataset first;
  for (const bool is_first : {true, false}) {
    ImageIndex index(folder_ / "index/pictures.sqlite");
    index.load(folder_.path());
    const Dataset dataset = made(options, {2, SmallBuckets::kShortBatch, &index});
    ASSERT_EQ(dataset.items.size(), 2u);
    if (is_first) first = dataset;
    EXPECT_EQ(dataset.items[0].placement.resized, first.items[0].placement.resized);
    EXPECT_EQ(dataset.items[0].id, first.items[0].id);
    damage_unnoticed(folder_ / "a.png");
    damage_unnoticed(folder_ / "b.png");
  }
  EXPECT_THAT(error_text([&] { made(options); }), HasSubstr("none of the 2 pictures"));
}

}  // namespace
}  // namespace sdtune
