#include "data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

using testing::HasSubstr;

DatasetOptions options_for(const TestFolder& folder) {
  DatasetOptions options;
  options.image_dir = folder.path();
  options.buckets.resolution = {64, 64};
  options.threads = 2;
  return options;
}

std::string error_of(const DatasetOptions& options) {
  try {
    make_dataset(options);
  } catch (const Error& error) {
    return std::string(error.what()) + " @ " + error.where() + " > " + error.hint();
  }
  return "";
}

TEST(Dataset, PlainFolder) {
  TestFolder folder;
  write_png(folder / "b.png", test_picture(80, 60));
  write_png(folder / "a.png", test_picture(60, 80));
  folder.write("a.caption", "a cat");
  folder.write("a.txt", "cat, animal");
  DatasetOptions options = options_for(folder);
  options.repeats = 3;
  const Dataset dataset = make_dataset(options);
  ASSERT_EQ(dataset.items.size(), 2u);
  EXPECT_EQ(dataset.items[0].caption, "a cat,cat, animal");
  EXPECT_EQ(dataset.items[1].caption, "");
  EXPECT_EQ(dataset.items[0].size, (Size{60, 80}));
  EXPECT_EQ(dataset.items[0].placement.resized, (Size{64, 85}));
  EXPECT_EQ(dataset.buckets, (std::vector<Size>{{64, 64}}));
  EXPECT_EQ(dataset.samples_per_epoch(), 6);
}

TEST(Dataset, PicturesSpreadOverBuckets) {
  TestFolder folder;
  write_png(folder / "wide.png", test_picture(400, 200));
  write_png(folder / "tall.png", test_picture(200, 400));
  write_png(folder / "square.png", test_picture(200, 200));
  DatasetOptions options = options_for(folder);
  options.buckets = {{192, 192}, true, false, 64, 384, 64};
  const Dataset dataset = make_dataset(options);
  EXPECT_EQ(dataset.buckets, (std::vector<Size>{{128, 256}, {192, 192}, {256, 128}}));
  for (const Item& item : dataset.items) {
    EXPECT_EQ(dataset.buckets[item.bucket], item.placement.bucket);
  }
}

TEST(Dataset, BadPicturesAreNamedAndSkipped) {
  TestFolder folder;
  write_png(folder / "good.png", test_picture(64, 64));
  write_png(folder / "strip.png", test_picture(1, 3000));
  folder.write("empty.png", "");
  folder.write("text.jpg", "no picture");
  std::filesystem::create_symlink(folder / "circle.png", folder / "circle.png");
  const Dataset dataset = make_dataset(options_for(folder));
  EXPECT_EQ(dataset.items.size(), 1u);
  std::vector<std::string> names;
  for (const SkippedImage& skipped : dataset.skipped) {
    names.push_back(skipped.image.filename().string());
    EXPECT_FALSE(skipped.reason.empty());
  }
  EXPECT_EQ(names, (std::vector<std::string>{"circle.png", "empty.png", "strip.png", "text.jpg"}));
}

TEST(Dataset, NothingLeftIsAnError) {
  TestFolder folder;
  EXPECT_THAT(error_of(options_for(folder)), HasSubstr("no pictures"));
  EXPECT_THAT(error_of(options_for(folder)), HasSubstr(".jxl"));
  folder.write("bad.png", "x");
  EXPECT_THAT(error_of(options_for(folder)), HasSubstr("none of the 1 pictures"));
  folder.write("meta.json", "{}");
  DatasetOptions options = options_for(folder);
  options.metadata_file = folder / "meta.json";
  EXPECT_THAT(error_of(options), HasSubstr("names no pictures"));
}

TEST(Dataset, TrainResolutionDecidesWhenNoResolutionIsGiven) {
  TestFolder folder;
  write_png(folder / "a.png", test_picture(300, 200));
  write_png(folder / "b.png", test_picture(300, 200));
  folder.write("meta.json", R"({"a": {"caption": "x", "train_resolution": [96, 64]},
                                "b": {"tags": "y", "train_resolution": [64, 96]}})");
  DatasetOptions options = options_for(folder);
  options.metadata_file = folder / "meta.json";
  options.has_resolution = false;
  const Dataset dataset = make_dataset(options);
  EXPECT_EQ(dataset.buckets, (std::vector<Size>{{64, 96}, {96, 64}}));
  EXPECT_EQ(dataset.items[0].placement.bucket, (Size{96, 64}));
  EXPECT_EQ(dataset.items[1].placement.resized, (Size{144, 96}));
  EXPECT_EQ(dataset.items[1].caption, "y");

  options.buckets.no_upscale = true;
  EXPECT_THROW(make_dataset(options), UsageError);
  options.buckets.no_upscale = false;
  folder.write("meta.json", R"({"a": {"train_resolution": [96, 64]}, "b": {}})");
  EXPECT_THROW(make_dataset(options), UsageError);
  options.metadata_file.clear();
  EXPECT_THROW(make_dataset(options), UsageError);
}

TEST(Dataset, NoRepeatsIsAUsageError) {
  TestFolder folder;
  DatasetOptions options = options_for(folder);
  options.repeats = 0;
  EXPECT_THROW(make_dataset(options), UsageError);
}

}  // namespace
}  // namespace sdtune
