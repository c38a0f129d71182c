#include "data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "data/test_datasets.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string error_of(const DatasetOptions& options) {
  return error_text([&] { made(options); });
}

std::vector<Size> sizes_of(const Dataset& dataset) {
  std::vector<Size> sizes;
  for (const Bucket& bucket : dataset.buckets) sizes.push_back(bucket.size);
  return sizes;
}

std::vector<std::string> names_of(const std::vector<SkippedImage>& skipped) {
  std::vector<std::string> names;
  for (const SkippedImage& one : skipped) {
    names.push_back(one.image.filename().string());
    EXPECT_FALSE(one.reason.empty()) << one.image;
  }
  return names;
}

TEST(Dataset, PlainFolder) {
  TestFolder folder;
  write_png(folder / "b.png", test_picture(80, 60));
  write_png(folder / "a.png", test_picture(60, 80));
  folder.write("a.caption", "a cat");
  folder.write("a.txt", "cat, animal");
  SubsetOptions subset = subset_of(folder.path());
  subset.num_repeats = 3;
  const Dataset dataset = made(dataset_of({subset}));
  ASSERT_EQ(dataset.items.size(), 2u);
  EXPECT_EQ(dataset.items[0].caption, "a cat,cat, animal");
  EXPECT_EQ(dataset.items[0].key, "a.png");
  EXPECT_EQ(dataset.items[1].caption, "");
  EXPECT_EQ(dataset.items[0].size, (Size{60, 80}));
  EXPECT_EQ(dataset.items[0].placement.resized, (Size{64, 85}));
  EXPECT_EQ(dataset.buckets, (std::vector<Bucket>{{{64, 64}, 0, 1}}));
  EXPECT_EQ(dataset.samples_per_epoch(), 6);
}

TEST(Dataset, PicturesSpreadOverBuckets) {
  TestFolder folder;
  write_png(folder / "wide.png", test_picture(400, 200));
  write_png(folder / "tall.png", test_picture(200, 400));
  write_png(folder / "square.png", test_picture(200, 200));
  DatasetOptions options = dataset_of({subset_of(folder.path())});
  options.buckets = {{192, 192}, true, false, 64, 384, 64};
  const Dataset dataset = made(options);
  EXPECT_THAT(sizes_of(dataset), ElementsAre(Size{128, 256}, Size{192, 192}, Size{256, 128}));
  for (const Item& item : dataset.items) {
    EXPECT_EQ(dataset.buckets[item.bucket].size, item.placement.bucket);
  }
}

TEST(Dataset, BadPicturesAreNamedAndSkipped) {
  TestFolder folder;
  write_png(folder / "good.png", test_picture(64, 64));
  write_png(folder / "strip.png", test_picture(1, 3000));
  folder.write("empty.png", "");
  folder.write("text.jpg", "no picture");
  fs::create_symlink(folder / "circle.png", folder / "circle.png");
  Dataset dataset;
  const std::string log =
      stderr_of([&] { dataset = made(dataset_of({subset_of(folder.path())})); });
  EXPECT_EQ(dataset.items.size(), 1u);
  EXPECT_THAT(names_of(dataset.skipped),
              ElementsAre("circle.png", "empty.png", "strip.png", "text.jpg"));
  for (const SkippedImage& one : dataset.skipped) EXPECT_THAT(log, HasSubstr(one.image.string()));
  EXPECT_THAT(log, HasSubstr("4 of 5 pictures are skipped"));
}

TEST(Dataset, MasksAreFoundByName) {
  const TestFolder folder, masks;
  write_png(folder / "a.png", test_picture(64, 64));
  write_png(folder / "b.png", test_picture(64, 64));
  write_png(masks / "a.bmp", test_picture(64, 64));
  SubsetOptions subset = subset_of(folder.path());
  subset.mask_dir = masks.path();
  EXPECT_THAT(
      error_text([&] { made(dataset_of({subset})); }),
      AllOf(HasSubstr("1 pictures have no mask, as b.png"), HasSubstr(masks.path().string())));
  write_png(masks / "b.png", test_picture(64, 64));
  const Dataset dataset = made(dataset_of({subset}));
  EXPECT_EQ(dataset.items[item_named(dataset, "a.png")].mask, masks / "a.bmp");
  EXPECT_EQ(dataset.items[item_named(dataset, "b.png")].mask, masks / "b.png");
}

TEST(Dataset, LossWeightsOfSubsetAndMetadataMultiply) {
  const TestFolder folder;
  write_png(folder / "a.png", test_picture(64, 64));
  write_png(folder / "b.png", test_picture(64, 64));
  folder.write("m.json", R"({"a": {"caption": "x", "loss_weight": 0.5}, "b": {"caption": "y"}})");
  SubsetOptions subset = subset_of(folder.path());
  subset.metadata_file = folder / "m.json";
  subset.loss_weight = 3;
  const Dataset dataset = made(dataset_of({subset}));
  EXPECT_EQ(dataset.items[item_named(dataset, "a.png")].loss_weight, 1.5);
  EXPECT_EQ(dataset.items[item_named(dataset, "b.png")].loss_weight, 3);
  for (const char* bad : {"-1", "\"1\""}) {
    folder.write("m.json", std::string(R"({"a": {"loss_weight": )") + bad + "}}");
    EXPECT_THAT(error_text([&] { made(dataset_of({subset})); }), HasSubstr("loss_weight")) << bad;
  }
}

TEST(Dataset, NothingLeftIsAnError) {
  TestFolder folder;
  DatasetOptions options = dataset_of({subset_of(folder.path())});
  EXPECT_THAT(error_of(options), HasSubstr("no pictures"));
  EXPECT_THAT(error_of(options), HasSubstr(".jxl"));
  folder.write("bad.png", "x");
  EXPECT_THAT(error_of(options), HasSubstr("none of the 1 pictures"));
  folder.write("meta.json", "{}");
  options.subsets[0].metadata_file = folder / "meta.json";
  EXPECT_THAT(error_of(options), HasSubstr("names no pictures"));
}

TEST(Dataset, TrainResolutionDecidesWhenNoResolutionIsGiven) {
  TestFolder folder;
  write_png(folder / "a.png", test_picture(300, 200));
  write_png(folder / "b.png", test_picture(300, 200));
  folder.write("meta.json", R"({"a": {"caption": "x", "train_resolution": [96, 64]},
                                "b": {"tags": "y", "train_resolution": [64, 96]}})");
  DatasetOptions options = dataset_of({subset_of(folder.path())});
  options.subsets[0].metadata_file = folder / "meta.json";
  options.has_resolution = false;
  const Dataset dataset = made(options);
  EXPECT_THAT(sizes_of(dataset), ElementsAre(Size{64, 96}, Size{96, 64}));
  EXPECT_EQ(dataset.items[0].placement.bucket, (Size{96, 64}));
  EXPECT_EQ(dataset.items[1].placement.resized, (Size{144, 96}));
  EXPECT_EQ(dataset.items[1].caption, "y");

  options.buckets.no_upscale = true;
  EXPECT_THROW(made(options), UsageError);
  options.buckets.no_upscale = false;
  folder.write("meta.json", R"({"a": {"train_resolution": [96, 64]}, "b": {}})");
  EXPECT_THROW(made(options), UsageError);
  options.subsets[0].metadata_file.clear();
  EXPECT_THROW(made(options), UsageError);
}

TEST(Dataset, NoRepeatsAndEmptyBatchesAreUsageErrors) {
  TestFolder folder;
  write_png(folder / "a.png", test_picture(64, 64));
  DatasetOptions options = dataset_of({subset_of(folder.path())});
  options.subsets[0].num_repeats = 0;
  EXPECT_THROW(made(options), UsageError);
  options.subsets[0].num_repeats = 1;
  options.batch_size = 0;
  EXPECT_THROW(made(options), UsageError);
}

TEST(Dataset, PicturesWithoutAnyTextAreCounted) {
  TestFolder folder;
  for (const char* name : {"a.png", "b.png", "c.png"}) write_png(folder / name, test_picture(9, 9));
  folder.write("b.caption", "a dog");
  DatasetOptions options = dataset_of({subset_of(folder.path())});
  const std::string log = stderr_of([&] { made(options); });
  EXPECT_THAT(log, HasSubstr("2 of 3 pictures have neither caption nor tags"));
  EXPECT_THAT(log, HasSubstr((folder / "a.png").string()));
  options.subsets[0].class_tokens = "animal";
  EXPECT_THAT(stderr_of([&] { made(options); }), Not(HasSubstr("neither")));
}

// Two folders with a picture of the same name each; the first folder in two datasets.
class SeveralDatasets : public testing::Test {
 protected:
  SeveralDatasets() {
    for (const char* name : {"one/a.png", "one/b.png", "two/a.png"}) {
      fs::create_directories((folder_ / name).parent_path());
      write_png(folder_ / name, test_picture(70, 60));
    }
    folder_.write("one/a.caption", "caption of a");
    folder_.write("one/a.txt", "text of a");
    SubsetOptions twice = subset_of(folder_ / "two");
    twice.num_repeats = 2;
    twice.flip_aug = true;
    datasets_ = {dataset_of({subset_of(folder_ / "one"), twice}),
                 dataset_of({subset_of(folder_ / "one", ".txt")}, 128)};
    datasets_[0].batch_size = 3;
    datasets_[1].batch_size = 2;
  }

  TestFolder folder_;
  std::vector<DatasetOptions> datasets_;
};

TEST_F(SeveralDatasets, KeepTheirOptionsAndBuckets) {
  const Dataset dataset = made(datasets_);
  EXPECT_EQ(dataset.items.size(), 5u);
  EXPECT_EQ(dataset.samples_per_epoch(), 6);
  EXPECT_EQ(dataset.buckets, (std::vector<Bucket>{{{64, 64}, 0, 3}, {{128, 128}, 1, 2}}));
  EXPECT_EQ(dataset.largest_batch(), 3);
  ASSERT_EQ(dataset.subsets.size(), 3u);
  EXPECT_TRUE(dataset.subsets[1].flip_aug);
  const Item& first = dataset.items[item_named(dataset, "a.png", 0)];
  const Item& other_folder = dataset.items[item_named(dataset, "a.png", 1)];
  const Item& larger = dataset.items[item_named(dataset, "a.png", 2)];
  EXPECT_EQ(first.image, larger.image);
  EXPECT_EQ(first.caption, "caption of a,text of a");
  EXPECT_EQ(larger.caption, "text of a");
  EXPECT_EQ(first.bucket, 0);
  EXPECT_EQ(larger.bucket, 1);
  EXPECT_EQ(other_folder.repeats, 2);
  EXPECT_EQ(other_folder.image, folder_ / "two/a.png");
}

TEST_F(SeveralDatasets, EveryAppearanceHasAnIdOfItsOwn) {
  const Dataset dataset = made(datasets_);
  std::set<uint64_t> ids;
  for (const Item& item : dataset.items) ids.insert(item.id);
  EXPECT_EQ(ids.size(), dataset.items.size());
}

TEST_F(SeveralDatasets, IdsDependNeitherOnOtherPicturesNorOnThePlace) {
  const Dataset before = made(datasets_);
  write_png(folder_ / "one/0.png", test_picture(70, 60));
  fs::remove(folder_ / "one/b.png");
  TestFolder elsewhere;
  fs::copy(folder_ / "one", elsewhere / "moved");
  datasets_[0].subsets[0].image_dir = elsewhere / "moved";
  const Dataset after = made(datasets_);
  for (const int64_t subset : {0, 1, 2}) {
    EXPECT_EQ(before.items[item_named(before, "a.png", subset)].id,
              after.items[item_named(after, "a.png", subset)].id);
  }
  EXPECT_NE(before.items[0].id, after.items[0].id);  // a.png and 0.png
}

TEST_F(SeveralDatasets, BucketsOfOneShapeDoNotMix) {
  datasets_[1].buckets.resolution = {64, 64};
  const Dataset dataset = made(datasets_);
  EXPECT_EQ(dataset.buckets, (std::vector<Bucket>{{{64, 64}, 0, 3}, {{64, 64}, 1, 2}}));
  EXPECT_EQ(dataset.items[item_named(dataset, "b.png", 0)].bucket, 0);
  EXPECT_EQ(dataset.items[item_named(dataset, "b.png", 2)].bucket, 1);
}

TEST_F(SeveralDatasets, AnEmptySubsetIsLeftOut) {
  fs::create_directory(folder_ / "empty");
  datasets_[0].subsets.push_back(subset_of(folder_ / "empty"));
  Dataset dataset;
  const std::string log = stderr_of([&] { dataset = made(datasets_); });
  EXPECT_THAT(log, HasSubstr((folder_ / "empty").string() + " has no pictures"));
  EXPECT_EQ(dataset.items.size(), 5u);
  EXPECT_EQ(dataset.items.back().subset, 3);
  EXPECT_EQ(dataset.subsets[3].caption_extension, ".txt");
}

TEST_F(SeveralDatasets, FaceCropsAreForShapelessDatasetsOnly) {
  datasets_[0].subsets[0].face_crop_aug_range = FaceCropRange{1, 2};
  datasets_[1].subsets[0].face_crop_aug_range = FaceCropRange{1, 2};
  datasets_[1] = bucketed(datasets_[1]);
  Dataset dataset;
  const std::string log = stderr_of([&] { dataset = made(datasets_); });
  EXPECT_THAT(log, HasSubstr("face_crop_aug_range has no effect with buckets"));
  EXPECT_TRUE(dataset.subsets[0].face_crop_aug_range.has_value());
  EXPECT_FALSE(dataset.subsets[2].face_crop_aug_range.has_value());
}

// Buckets of 128 x 128 pixels' area: five squares, two wide, one very wide picture.
class SmallBucketsOfADataset : public testing::Test {
 protected:
  SmallBucketsOfADataset() {
    for (int i = 0; i < 5; ++i) write(fmt::format("square{}.png", i), {130, 128});
    for (int i = 0; i < 2; ++i) write(fmt::format("wide{}.png", i), {192, 64});
    write("widest.png", {256, 64});
    options_ = bucketed(dataset_of({subset_of(folder_.path())}, 128));
    options_.batch_size = 3;
  }

  void write(const std::string& name, Size size) {
    write_png(folder_ / name, test_picture(size.width, size.height));
  }

  Dataset settled(SmallBuckets choice) {
    Dataset dataset;
    log_ = stderr_of([&] { dataset = made(options_, {2, choice}); });
    return dataset;
  }

  TestFolder folder_;
  DatasetOptions options_;
  std::string log_;
};

TEST_F(SmallBucketsOfADataset, StayUnlessToldOtherwise) {
  const Dataset dataset = settled(SmallBuckets::kShortBatch);
  EXPECT_THAT(sizes_of(dataset), ElementsAre(Size{128, 128}, Size{192, 64}, Size{256, 64}));
  EXPECT_EQ(dataset.items.size(), 8u);
}

TEST_F(SmallBucketsOfADataset, AreDroppedWithTheirPicturesNamed) {
  const Dataset dataset = settled(SmallBuckets::kDrop);
  EXPECT_THAT(sizes_of(dataset), ElementsAre(Size{128, 128}));
  EXPECT_EQ(dataset.items.size(), 5u);
  EXPECT_THAT(names_of(dataset.skipped), ElementsAre("wide0.png", "wide1.png", "widest.png"));
  EXPECT_THAT(log_, HasSubstr("bucket 192 x 64 with 2 samples: dropped"));
  EXPECT_THAT(log_, HasSubstr("bucket 256 x 64 with 1 samples: dropped"));
}

TEST_F(SmallBucketsOfADataset, RepeatsCountAsSamples) {
  options_.subsets[0].num_repeats = 2;
  const Dataset dataset = settled(SmallBuckets::kDrop);
  EXPECT_THAT(sizes_of(dataset), ElementsAre(Size{128, 128}, Size{192, 64}));
}

TEST_F(SmallBucketsOfADataset, AreMergedAndTheirPicturesFittedAnew) {
  options_.batch_size = 2;
  const Dataset dataset = settled(SmallBuckets::kMerge);
  EXPECT_THAT(sizes_of(dataset), ElementsAre(Size{128, 128}, Size{192, 64}));
  EXPECT_TRUE(dataset.skipped.empty());
  EXPECT_THAT(log_, HasSubstr("bucket 256 x 64 with 1 samples: merged into 192 x 64"));
  const Item& moved = dataset.items[item_named(dataset, "widest.png")];
  EXPECT_EQ(moved.placement.bucket, (Size{192, 64}));
  EXPECT_EQ(moved.placement.resized, (Size{256, 64}));
  EXPECT_EQ(dataset.buckets[moved.bucket].size, (Size{192, 64}));
  const Item& unmoved = dataset.items[item_named(dataset, "wide0.png")];
  EXPECT_EQ(unmoved.placement.bucket, (Size{192, 64}));
}

TEST_F(SmallBucketsOfADataset, EachDatasetIsSettledByItsOwnBatchSize) {
  DatasetOptions second = options_;
  second.batch_size = 1;
  const Dataset dataset = made({options_, second}, {2, SmallBuckets::kDrop});
  EXPECT_EQ(dataset.buckets,
            (std::vector<Bucket>{
                {{128, 128}, 0, 3}, {{128, 128}, 1, 1}, {{192, 64}, 1, 1}, {{256, 64}, 1, 1}}));
}

TEST_F(SmallBucketsOfADataset, AllDroppedIsAnError) {
  options_.batch_size = 100;
  EXPECT_THAT(error_text([&] { settled(SmallBuckets::kDrop); }), HasSubstr("--small_buckets"));
}

}  // namespace
}  // namespace sdtune
