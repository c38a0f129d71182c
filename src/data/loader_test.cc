#include "data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "image/resize.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

constexpr int kPictures = 10;

class Loader : public testing::Test {
 protected:
  Loader() {
    for (int i = 0; i < kPictures; ++i) {
      const std::string name = "p" + std::to_string(i);
      write_png(folder_ / (name + ".png"),
                i % 2 ? test_picture(90, 70, i) : test_picture(70, 90, i));
      folder_.write(name + ".txt", "picture " + std::to_string(i));
    }
    DatasetOptions options;
    options.image_dir = folder_.path();
    options.buckets = {{64, 64}, true, false, 64, 256, 64};
    options.repeats = 2;
    dataset_ = make_dataset(options);
  }

  LoaderOptions options(int threads = 2) const {
    LoaderOptions options;
    options.batch_size = 3;
    options.seed = 5;
    options.threads = threads;
    return options;
  }

  std::vector<LoadedBatch> load(LoaderOptions loader_options, int count) {
    BatchLoader loader(dataset_, std::move(loader_options));
    std::vector<LoadedBatch> batches;
    for (int i = 0; i < count; ++i) batches.push_back(loader.next());
    return batches;
  }

  TestFolder folder_;
  Dataset dataset_;
};

void expect_equal(const LoadedBatch& a, const LoadedBatch& b) {
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.index, b.index);
  EXPECT_EQ(a.is_last_of_epoch, b.is_last_of_epoch);
  EXPECT_EQ(a.items, b.items);
  EXPECT_EQ(a.repeats, b.repeats);
  EXPECT_EQ(a.captions, b.captions);
  EXPECT_EQ(a.pixels, b.pixels);
}

TEST_F(Loader, FollowsThePlanFromEpochToEpoch) {
  const int64_t per_epoch = batches_per_epoch(dataset_, 3);
  ASSERT_EQ(per_epoch, 7);  // 20 samples of one bucket
  const auto batches = load(options(), 14);
  for (int i = 0; i < 14; ++i) {
    const auto plan = plan_epoch(dataset_, 3, 5, i / per_epoch);
    const auto& planned = plan[i % per_epoch].samples;
    EXPECT_EQ(batches[i].epoch, i / per_epoch);
    EXPECT_EQ(batches[i].index, i % per_epoch);
    EXPECT_EQ(batches[i].is_last_of_epoch, i % per_epoch == per_epoch - 1);
    ASSERT_EQ(batches[i].items.size(), planned.size());
    EXPECT_EQ(batches[i].pixels.size(), planned.size() * 3 * 64 * 64);
    for (size_t k = 0; k < planned.size(); ++k) {
      EXPECT_EQ(batches[i].items[k], planned[k].item);
      EXPECT_EQ(batches[i].repeats[k], planned[k].repeat);
      EXPECT_EQ(batches[i].captions[k], "picture " + std::to_string(planned[k].item));
    }
  }
}

TEST_F(Loader, ThreadsAndPrefetchChangeNothing) {
  const auto one = load(options(1), 10);
  LoaderOptions many = options(8);
  many.batches_ahead = 20;
  const auto other = load(many, 10);
  LoaderOptions none = options(3);
  none.batches_ahead = 0;
  const auto third = load(none, 10);
  for (int i = 0; i < 10; ++i) {
    expect_equal(one[i], other[i]);
    expect_equal(one[i], third[i]);
  }
}

TEST_F(Loader, StartsAnywhere) {
  const auto all = load(options(), 12);
  LoaderOptions later = options();
  later.first_epoch = 1;
  later.first_batch = 2;
  const auto resumed = load(later, 3);
  for (int i = 0; i < 3; ++i) expect_equal(all[7 + 2 + i], resumed[i]);
  later.first_batch = 7;
  EXPECT_THROW(BatchLoader(dataset_, later), Error);
}

TEST_F(Loader, PixelsAreThePictureResizedAndCutInTheMiddle) {
  const Item& item = dataset_.items[1];  // 90 x 70
  ASSERT_EQ(item.placement.resized, (Size{82, 64}));
  const Image expected = crop(resize(test_picture(90, 70, 1), 82, 64), 9, 0, 64, 64);
  std::vector<float> planes(3 * 64 * 64);
  to_planes(expected, planes.data());
  EXPECT_EQ(load_pixels(item), planes);
}

TEST_F(Loader, VanishedAndDamagedPicturesAreSkipped) {
  std::filesystem::remove(folder_ / "p3.png");
  const std::string png = read_file(folder_ / "p4.png");
  folder_.write("p4.png", png.substr(0, png.size() / 2));
  BatchLoader loader(dataset_, options());
  int samples = 0;
  for (int i = 0; i < 7; ++i) {
    const LoadedBatch batch = loader.next();
    EXPECT_EQ(batch.index, i);
    EXPECT_THAT(batch.items, testing::Each(testing::AllOf(testing::Ne(3), testing::Ne(4))));
    EXPECT_EQ(batch.pixels.size(), batch.items.size() * 3 * 64 * 64);
    samples += static_cast<int>(batch.items.size());
  }
  EXPECT_EQ(samples, 2 * (kPictures - 2));
  int failures = 0;
  for (const SkippedImage& skipped : loader.skipped()) {
    const std::string name = skipped.image.filename().string();
    EXPECT_TRUE(name == "p3.png" || name == "p4.png") << name;
    failures += !skipped.reason.empty();
  }
  EXPECT_GE(failures, 4);  // batches of the next epoch are loaded ahead, and not yet counted
}

TEST_F(Loader, AnEmptiedBatchKeepsItsPlace) {
  LoaderOptions single = options();
  single.batch_size = 1;
  std::filesystem::remove(folder_ / "p0.png");
  const auto batches = load(single, 20);
  int empty = 0;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(batches[i].index, i);
    empty += batches[i].items.empty() && batches[i].pixels.empty();
  }
  EXPECT_EQ(empty, 2);
}

TEST_F(Loader, ChangedPictureIsFittedAnew) {
  write_png(folder_ / "p1.png", test_picture(128, 256, 1));
  EXPECT_EQ(load_pixels(dataset_.items[1]).size(), 3u * 64 * 64);
  write_png(folder_ / "p1.png", test_picture(1, 2000, 1));
  EXPECT_THROW(load_pixels(dataset_.items[1]), Error);
}

TEST_F(Loader, ErrorWhenAWholeEpochFails) {
  std::filesystem::remove_all(folder_.path());
  BatchLoader loader(dataset_, options());
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(loader.next().items.empty());
  EXPECT_THROW(loader.next(), Error);
}

TEST_F(Loader, EndsCleanlyInTheMiddle) {
  std::atomic<int> running = 0, begun = 0;
  LoaderOptions slow = options(3);
  slow.batches_ahead = 50;
  slow.source = [&](const Item&) {
    ++running;
    ++begun;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    --running;
    return std::vector<float>(3 * 64 * 64);
  };
  {
    BatchLoader loader(dataset_, slow);
    loader.next();
  }
  EXPECT_EQ(running, 0);
  EXPECT_LT(begun, 60);  // of 150 asked for
}

TEST_F(Loader, FailuresOfAnyKindAreSkipped) {
  LoaderOptions failing = options();
  failing.source = [](const Item& item) {
    if (item.image.filename() == "p5.png") throw std::bad_alloc();
    return std::vector<float>(2);
  };
  for (const LoadedBatch& batch : load(failing, 7)) {
    EXPECT_THAT(batch.items, testing::Each(testing::Ne(5)));
    EXPECT_EQ(batch.pixels.size(), 2 * batch.items.size());
  }
}

}  // namespace
}  // namespace sdtune
