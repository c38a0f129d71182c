#include "data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <thread>
#include <tuple>

#include "data/test_datasets.h"

namespace sdtune {
namespace {

constexpr int kPictures = 10;

SampleValues pixels_of(const Appearance& appearance) { return load_pixels(appearance); }

class Loader : public testing::Test {
 protected:
  Loader() {
    for (int i = 0; i < kPictures; ++i) {
      const std::string name = "p" + std::to_string(i);
      write_png(folder_ / (name + ".png"),
                i % 2 ? test_picture(90, 70, i) : test_picture(70, 90, i));
      folder_.write(name + ".txt", "picture " + std::to_string(i));
    }
    SubsetOptions subset = subset_of(folder_.path());
    subset.num_repeats = 2;
    datasets_ = {dataset_of({subset})};
    datasets_[0].buckets = {{64, 64}, true, false, 64, 256, 64};
    datasets_[0].batch_size = 3;
    dataset_ = made(datasets_);
  }

  LoaderOptions options(int threads = 2) const {
    LoaderOptions options;
    options.seed = 5;
    options.threads = threads;
    options.source = pixels_of;
    return options;
  }

  static std::vector<LoadedBatch> load(const Dataset& dataset, LoaderOptions loader_options,
                                       int64_t count) {
    BatchLoader loader(dataset, std::move(loader_options));
    std::vector<LoadedBatch> batches;
    for (int64_t i = 0; i < count; ++i) batches.push_back(loader.next());
    return batches;
  }
  std::vector<LoadedBatch> load(LoaderOptions loader_options, int64_t count) {
    return load(dataset_, std::move(loader_options), count);
  }

  TestFolder folder_;
  std::vector<DatasetOptions> datasets_;
  Dataset dataset_;
};

void expect_equal(const LoadedBatch& a, const LoadedBatch& b) {
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.index, b.index);
  EXPECT_EQ(a.is_last_of_epoch, b.is_last_of_epoch);
  EXPECT_EQ(a.items, b.items);
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_EQ(a.repeats, b.repeats);
  EXPECT_EQ(a.captions, b.captions);
  EXPECT_EQ(a.pixels, b.pixels);
}

TEST_F(Loader, FollowsThePlanFromEpochToEpoch) {
  const int64_t per_epoch = batches_per_epoch(dataset_);
  ASSERT_EQ(per_epoch, 7);  // 20 samples of one bucket
  const auto batches = load(options(), 14);
  for (int i = 0; i < 14; ++i) {
    const auto plan = plan_epoch(dataset_, 5, i / per_epoch);
    const auto& planned = plan[i % per_epoch].samples;
    EXPECT_EQ(batches[i].epoch, i / per_epoch);
    EXPECT_EQ(batches[i].index, i % per_epoch);
    EXPECT_EQ(batches[i].is_last_of_epoch, i % per_epoch == per_epoch - 1);
    EXPECT_EQ(batches[i].size, (Size{64, 64}));
    ASSERT_EQ(batches[i].items.size(), planned.size());
    EXPECT_EQ(batches[i].pixels.size(), planned.size() * 3 * 64 * 64);
    EXPECT_TRUE(batches[i].latents.empty() && batches[i].alpha_mask.empty());
    for (size_t k = 0; k < planned.size(); ++k) {
      EXPECT_EQ(batches[i].items[k], planned[k].item);
      EXPECT_EQ(batches[i].ids[k], dataset_.items[planned[k].item].id);
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
  for (const int64_t absent : {7, -1}) {
    later.first_batch = absent;
    EXPECT_THROW(BatchLoader(dataset_, later), Error);
  }
}

TEST_F(Loader, EachDatasetHasItsShapeAndBatchSize) {
  datasets_.push_back(dataset_of({subset_of(folder_.path())}, 128));
  datasets_[1].batch_size = 4;
  const Dataset both = made(datasets_);
  std::multiset<std::pair<int, size_t>> sizes;
  for (const LoadedBatch& batch : load(both, options(), batches_per_epoch(both))) {
    sizes.insert({batch.size.width, batch.items.size()});
    EXPECT_EQ(batch.pixels.size(), batch.items.size() * 3 * batch.size.width * batch.size.height);
    for (const int64_t item : batch.items) {
      EXPECT_EQ(both.items[item].placement.bucket, batch.size);
    }
  }
  EXPECT_EQ(sizes.count({64, 3}), 6u);
  EXPECT_EQ(sizes.count({64, 2}), 1u);
  EXPECT_EQ(sizes.count({128, 4}), 2u);
  EXPECT_EQ(sizes.count({128, 2}), 1u);
}

TEST_F(Loader, VanishedAndDamagedPicturesAreSkipped) {
  fs::remove(folder_ / "p3.png");
  const std::string png = read_file(folder_ / "p4.png");
  folder_.write("p4.png", png.substr(0, png.size() / 2));
  BatchLoader loader(dataset_, options());
  int samples = 0;
  for (int i = 0; i < 7; ++i) {
    const LoadedBatch batch = loader.next();
    EXPECT_EQ(batch.index, i);
    EXPECT_THAT(batch.items, testing::Each(testing::AllOf(testing::Ne(3), testing::Ne(4))));
    EXPECT_EQ(batch.pixels.size(), batch.items.size() * 3 * 64 * 64);
    EXPECT_EQ(batch.captions.size(), batch.items.size());
    samples += static_cast<int>(batch.items.size());
  }
  EXPECT_EQ(samples, 2 * (kPictures - 2));
  int failures = 0;
  for (const SkippedImage& skipped : loader.skipped()) {
    const std::string name = skipped.image.filename().string();
    EXPECT_TRUE(name == "p3.png" || name == "p4.png") << name;
    failures += !skipped.reason.empty();
  }
  EXPECT_EQ(failures, 4);
}

TEST_F(Loader, AnEmptiedBatchKeepsItsPlace) {
  datasets_[0].batch_size = 1;
  const Dataset single = made(datasets_);
  fs::remove(folder_ / "p0.png");
  const auto batches = load(single, options(), 20);
  int empty = 0;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(batches[i].index, i);
    empty += batches[i].items.empty() && batches[i].pixels.empty();
  }
  EXPECT_EQ(empty, 2);
}

TEST_F(Loader, ErrorWhenAWholeEpochFails) {
  fs::remove_all(folder_.path());
  BatchLoader loader(dataset_, options());
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(loader.next().items.empty());
  EXPECT_THROW(loader.next(), Error);
}

TEST_F(Loader, EndsCleanlyInTheMiddle) {
  std::atomic<int> running = 0, begun = 0;
  LoaderOptions slow = options(3);
  slow.batches_ahead = 50;
  slow.source = [&](const Appearance&) {
    ++running;
    ++begun;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    --running;
    return SampleValues{std::vector<float>(3 * 64 * 64), {}, {}};
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
  failing.source = [](const Appearance& appearance) {
    if (appearance.item.image.filename() == "p5.png") throw std::bad_alloc();
    return SampleValues{std::vector<float>(2), {}, {}};
  };
  for (const LoadedBatch& batch : load(failing, 7)) {
    EXPECT_THAT(batch.items, testing::Each(testing::Ne(5)));
    EXPECT_EQ(batch.pixels.size(), 2 * batch.items.size());
  }
}

TEST_F(Loader, LatentsTakeThePlaceOfPixels) {
  LoaderOptions latents = options();
  latents.source = [](const Appearance& appearance) {
    return SampleValues{{}, std::vector<float>(4, static_cast<float>(appearance.repeat)), {}};
  };
  for (const LoadedBatch& batch : load(latents, 3)) {
    EXPECT_TRUE(batch.pixels.empty());
    ASSERT_EQ(batch.latents.size(), 4 * batch.items.size());
    for (size_t i = 0; i < batch.items.size(); ++i) {
      EXPECT_EQ(batch.latents[4 * i], static_cast<float>(batch.repeats[i]));
    }
  }
}

// Captions that are drawn anew each time, flips, crops and changes of colour.
class LoaderDraws : public Loader {
 protected:
  LoaderDraws() {
    SubsetOptions& subset = datasets_[0].subsets[0];
    subset.caption.shuffle_caption = true;
    subset.caption.caption_tag_dropout_rate = 0.3;
    subset.flip_aug = subset.random_crop = subset.color_aug = true;
    for (int i = 0; i < kPictures; ++i) {
      folder_.write(fmt::format("p{}.txt", i), fmt::format("{}, a, b, c, d, e, f", i));
    }
    dataset_ = made(datasets_);
  }

  using Draws =
      std::map<std::tuple<int64_t, uint64_t, int64_t>, std::pair<std::string, std::vector<float>>>;

  // By epoch, picture and repeat, over three epochs.
  static Draws draws_of(const Dataset& dataset, LoaderOptions loader_options) {
    Draws draws;
    for (const LoadedBatch& batch :
         load(dataset, std::move(loader_options), 3 * batches_per_epoch(dataset))) {
      const size_t each = batch.pixels.size() / batch.items.size();
      for (size_t i = 0; i < batch.items.size(); ++i) {
        const auto begin = batch.pixels.begin() + static_cast<ptrdiff_t>(i * each);
        draws[{batch.epoch, batch.ids[i], batch.repeats[i]}] = {
            batch.captions[i], {begin, begin + static_cast<ptrdiff_t>(each)}};
      }
    }
    return draws;
  }
};

TEST_F(LoaderDraws, BelongToSeedEpochPictureAndRepeatAlone) {
  const Draws draws = draws_of(dataset_, options());
  EXPECT_EQ(draws.size(), 3u * 2 * kPictures);
  datasets_[0].batch_size = 7;
  Dataset other = made(datasets_);
  std::reverse(other.items.begin(), other.items.end());
  EXPECT_EQ(draws_of(other, options(5)), draws);
  LoaderOptions seeded = options();
  seeded.seed = 6;
  EXPECT_NE(draws_of(dataset_, seeded), draws);
}

TEST_F(LoaderDraws, DoNotDependOnOtherPictures) {
  const Draws all = draws_of(dataset_, options());
  for (int i = 0; i < kPictures; i += 2) fs::remove(folder_ / fmt::format("p{}.png", i));
  write_png(folder_ / "a.png", test_picture(80, 64));
  datasets_.push_back(dataset_of({subset_of(folder_.path())}, 128));
  int same = 0;
  for (const auto& [place, drawn] : draws_of(made(datasets_), options())) {
    if (const auto found = all.find(place); found != all.end()) {
      EXPECT_EQ(found->second, drawn);
      ++same;
    }
  }
  EXPECT_EQ(same, 3 * 2 * kPictures / 2);
}

TEST_F(LoaderDraws, DifferFromOneAppearanceToTheNext) {
  const Draws draws = draws_of(dataset_, options());
  std::map<uint64_t, std::pair<std::set<std::string>, std::set<std::vector<float>>>> appearances;
  for (const auto& [place, drawn] : draws) {
    auto& [captions, pixels] = appearances[std::get<1>(place)];
    captions.insert(drawn.first);
    pixels.insert(drawn.second);
  }
  for (const auto& [id, seen] : appearances) {
    EXPECT_GT(seen.first.size(), 3u);
    EXPECT_GT(seen.second.size(), 3u);
  }
}

TEST_F(LoaderDraws, CaptionsAreDrawnFromEpochPictureAndRepeat) {
  const CaptionOptions& caption = dataset_.subsets[0].caption;
  for (const LoadedBatch& batch : load(options(), 14)) {
    for (size_t i = 0; i < batch.items.size(); ++i) {
      const Item& item = dataset_.items[batch.items[i]];
      Random random(5, Draw::kCaption, batch.epoch, item.id, batch.repeats[i]);
      EXPECT_EQ(batch.captions[i], draw_caption(item.caption, caption, {batch.epoch}, random));
    }
  }
}

TEST_F(LoaderDraws, TagsWarmUpWithTheStepsOfThePlan) {
  CaptionOptions warming;
  warming.token_warmup_min = 0;
  warming.token_warmup_step = 0.5;  // of 14 steps: 7 flexible tags, one more at each step
  dataset_.subsets[0].caption = warming;
  LoaderOptions two = options();
  two.gradient_accumulation_steps = 2;  // 7 batches: 4 steps an epoch
  two.total_steps = 14;
  for (const LoadedBatch& batch : load(two, 14)) {
    const int64_t step = batch.epoch * 4 + batch.index / 2;
    for (const std::string& caption : batch.captions) {
      const auto tags = caption.empty() ? 0 : 1 + std::count(caption.begin(), caption.end(), ',');
      EXPECT_EQ(tags, std::min<int64_t>(step, 7)) << caption;
    }
  }
}

TEST_F(Loader, CaptionsDropOutEveryFewEpochs) {
  dataset_.subsets[0].caption.caption_dropout_every_n_epochs = 2;
  for (const LoadedBatch& batch : load(options(), 14)) {
    for (const std::string& caption : batch.captions) EXPECT_EQ(caption.empty(), batch.epoch == 1);
  }
}

TEST_F(Loader, PicturesWithoutAMaskCountAsOnesBesideOthersThatHaveOne) {
  const auto load_with_masks = [&](const std::set<std::string>& masked) {
    LoaderOptions some = options();
    some.source = [masked](const Appearance& appearance) {
      SampleValues values{std::vector<float>(3 * 64 * 64), {}, {}};
      if (masked.contains(appearance.item.key)) values.alpha_mask.assign(64 * 64, 0.25f);
      return values;
    };
    return load(some, 7);
  };
  int mixed = 0;
  for (const LoadedBatch& batch : load_with_masks({"p1.png", "p4.png", "p6.png"})) {
    std::vector<float> expected;
    for (const int64_t item : batch.items) {
      const float value = item == 1 || item == 4 || item == 6 ? 0.25f : 1.0f;
      expected.insert(expected.end(), 64 * 64, value);
    }
    const bool has_mask = std::count(expected.begin(), expected.end(), 0.25f) > 0;
    if (!has_mask) expected.clear();
    EXPECT_EQ(batch.alpha_mask, expected);
    mixed += has_mask && std::count(expected.begin(), expected.end(), 1.0f) > 0;
  }
  EXPECT_GE(mixed, 2);
  for (const LoadedBatch& batch : load_with_masks({})) EXPECT_TRUE(batch.alpha_mask.empty());
}

}  // namespace
}  // namespace sdtune
