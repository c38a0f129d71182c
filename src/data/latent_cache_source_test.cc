#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/philox.h"
#include "data/latent_cache.h"
#include "data/loader.h"
#include "data/test_latents.h"
#include "formats/npz.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A filled cache and what the training step gets from it.
class LatentCacheSource : public LatentRuns {
 protected:
  void fill() {
    dataset_ = made(datasets_);
    cache_ = std::make_unique<LatentCache>(dataset_, options_);
    FakeEncoder fake;
    report_ = cache_->fill(fake.encoder());
  }

  Appearance appearance(size_t item, int64_t epoch, int64_t repeat = 0) const {
    return {dataset_.items[item], dataset_.subsets[dataset_.items[item].subset], 5, epoch, repeat};
  }
  SampleValues values(size_t item, int64_t epoch = 0, int64_t repeat = 0) const {
    return cache_->source()(appearance(item, epoch, repeat));
  }

  // What the encoder makes of the picture, or of its mirror image.
  LatentMoments moments(size_t item, bool flipped) const {
    const Item& one = dataset_.items[item];
    auto pixels = plain_pixels(one, dataset_.subsets[one.subset]);
    if (flipped) pixels = mirrored_planes(std::move(pixels), one.placement.bucket.width);
    return FakeEncoder::encode(pixels, 1, one.placement.bucket);
  }

  Dataset dataset_;
  std::unique_ptr<LatentCache> cache_;
  LatentCacheReport report_;
};

TEST_F(LatentCacheSource, IsTheSameFromMemoryAndFromDisk) {
  const Image picture = with_alpha(test_picture(75, 66));
  write_rgba_png(folder_ / "p5.png", picture);
  subset().flip_aug = subset().alpha_mask = true;
  for (const bool posterior : {false, true}) {
    options_.posterior = posterior;
    std::vector<SampleValues> from_disk;
    for (const bool to_disk : {true, false}) {
      options_.to_disk = to_disk;
      fill();
      for (size_t item = 0; item < kPictures; ++item) {
        for (int64_t epoch = 0; epoch < 6; ++epoch) {
          const SampleValues now = values(item, epoch);
          EXPECT_TRUE(now.pixels.empty());
          ASSERT_EQ(now.latents.size(), 256u);
          ASSERT_EQ(now.alpha_mask.size(), 64u * 64);
          if (to_disk) {
            from_disk.push_back(now);
          } else {
            EXPECT_EQ(now.latents, from_disk[item * 6 + epoch].latents);
            EXPECT_EQ(now.alpha_mask, from_disk[item * 6 + epoch].alpha_mask);
          }
        }
      }
    }
  }
}

TEST_F(LatentCacheSource, InMemoryLeavesNoFiles) {
  options_.to_disk = false;
  fill();
  EXPECT_EQ(report_.encoded, kPictures);
  EXPECT_TRUE(names_of_kept().empty());
  EXPECT_EQ(values(0).latents.size(), 256u);
}

TEST_F(LatentCacheSource, GivesTheSameSampleEachTime) {
  fill();
  EXPECT_EQ(values(1, 0).latents, values(1, 7, 2).latents);
  EXPECT_NE(values(1).latents, values(2).latents);
  EXPECT_TRUE(values(1).alpha_mask.empty());
}

TEST_F(LatentCacheSource, PosteriorIsDrawnAnewAtEachAppearance) {
  subset().flip_aug = true;
  options_.posterior = true;
  for (const bool to_disk : {true, false}) {
    options_.to_disk = to_disk;
    fill();
    std::set<std::vector<float>> seen;
    for (int64_t epoch = 0; epoch < 4; ++epoch) {
      for (const int64_t repeat : {0, 1}) {
        const auto [mean, logvar] = moments(3, augment_draws(appearance(3, epoch, repeat)).flip);
        Random random(5, Draw::kPosterior, epoch, dataset_.items[3].id, repeat);
        const auto latents = values(3, epoch, repeat).latents;
        EXPECT_EQ(latents, sample_posterior(mean, logvar, random));
        seen.insert(latents);
      }
    }
    EXPECT_EQ(seen.size(), 8u);
  }
}

TEST_F(LatentCacheSource, FlipsLatentsAndMaskAsPixelsAreFlipped) {
  write_rgba_png(folder_ / "p5.png", with_alpha(test_picture(75, 66)));
  subset().flip_aug = subset().alpha_mask = true;
  fill();
  std::set<bool> flips;
  for (int64_t epoch = 0; epoch < 10; ++epoch) {
    const SampleValues kept = values(5, epoch), loaded = load_pixels(appearance(5, epoch));
    EXPECT_EQ(kept.alpha_mask, loaded.alpha_mask);
    flips.insert(kept.latents == values(5, 0).latents);
    EXPECT_EQ(kept.latents == values(5, 0).latents, kept.alpha_mask == values(5, 0).alpha_mask);
  }
  EXPECT_EQ(flips.size(), 2u);
}

TEST_F(LatentCacheSource, HasNothingForPicturesWithoutAnEntry) {
  const std::string png = read_file(folder_ / "p2.png");
  folder_.write("p2.png", png.substr(0, png.size() - 1000));
  for (const bool to_disk : {true, false}) {
    options_.to_disk = to_disk;
    fill();
    EXPECT_THAT(error_text([&] { values(2); }), HasSubstr((folder_ / "p2.png").string()));
    EXPECT_EQ(values(3).latents.size(), 256u);
  }
}

TEST_F(LatentCacheSource, IsThereOnceTheCacheIsComplete) {
  fill();
  const auto before = values(4).latents;
  cache_ = std::make_unique<LatentCache>(dataset_, options_);
  EXPECT_THROW(values(4), Error);
  ASSERT_TRUE(cache_->is_complete("vae"));
  EXPECT_EQ(values(4).latents, before);
}

TEST_F(LatentCacheSource, FeedsTheLoader) {
  datasets_[0].batch_size = 4;
  fill();
  BatchLoader loader(dataset_, {.seed = 5, .threads = 2, .source = cache_->source()});
  size_t seen = 0;
  for (int i = 0; i < 2; ++i) {
    const LoadedBatch batch = loader.next();
    std::vector<float> expected;
    for (const int64_t item : batch.items) {
      const auto latents = values(item).latents;
      expected.insert(expected.end(), latents.begin(), latents.end());
    }
    EXPECT_EQ(batch.latents, expected);
    EXPECT_TRUE(batch.pixels.empty());
    seen += batch.items.size();
  }
  EXPECT_EQ(seen, size_t{kPictures});
}

// Pictures that want the same file.
class SharedLatents : public LatentCacheSource {
 protected:
  SharedLatents() {
    for (int i = 0; i < kPictures; ++i) fs::remove(folder_ / fmt::format("p{}.png", i));
  }

  // Every entry gives the latents of its own picture, in its own form, now and in the next run.
  void expect_each_its_own() {
    fill();
    EXPECT_EQ(report_.failed, 0);
    EXPECT_EQ(report_.encoded + report_.reused, static_cast<int64_t>(dataset_.items.size()));
    for (size_t item = 0; item < dataset_.items.size(); ++item) {
      for (int64_t epoch = 0; epoch < 6; ++epoch) {
        const Appearance now = appearance(item, epoch);
        const auto [mean, logvar] = moments(item, now.subset.flip_aug && augment_draws(now).flip);
        Random random(5, Draw::kPosterior, epoch, now.item.id, 0);
        const SampleValues kept = values(item, epoch);
        EXPECT_EQ(kept.latents, sample_posterior(mean, logvar, random)) << item << " " << epoch;
        EXPECT_EQ(kept.alpha_mask.empty(), !now.subset.alpha_mask);
      }
    }
    expect_all_reused(static_cast<int>(dataset_.items.size()));
  }
};

TEST_F(SharedLatents, PicturesOfOneStemHaveFilesOfTheirOwn) {
  write_jpeg(folder_ / "a.jpg", test_picture(70, 66, 1));
  write_png(folder_ / "a.png", test_picture(70, 66, 2));
  write_png(folder_ / "a.webp", test_picture(70, 66, 3));
  options_.posterior = true;
  expect_each_its_own();
  EXPECT_THAT(names_of_kept(), ElementsAre("a.png_0070x0066_sd.npz", "a.webp_0070x0066_sd.npz",
                                           "a_0070x0066_sd.npz"));
  options_.naming = LatentNaming::kStem;
  fs::remove(folder_ / "a_0070x0066_sd.npz");
  expect_each_its_own();
  EXPECT_THAT(names_of_kept(), testing::IsSupersetOf({"a.npz", "a.png.npz", "a.webp.npz"}));
}

TEST_F(SharedLatents, OnePictureInTwoSizesHasOneFile) {
  for (int i = 0; i < 40; ++i) {
    write_png(folder_ / fmt::format("{}.png", i), test_picture(70, 66, i));
  }
  datasets_.push_back(dataset_of({subset_of(folder_.path())}, 128));
  options_.posterior = true;
  options_.threads = 8;
  expect_each_its_own();
  EXPECT_EQ(names_of_kept().size(), 40u);
  EXPECT_NE(NpzFile(folder_ / "7_0070x0066_sd.npz").find("latents_16x16"), nullptr);
  write_png(folder_ / "7.png", test_picture(70, 66, 100));
  EXPECT_EQ(run().encoded, 2);
}

TEST_F(SharedLatents, SizesThatAreWrittenAtOnceAllStay) {
  write_png(folder_ / "a.png", test_picture(70, 66));
  for (const int side : {128, 192, 256}) {
    datasets_.push_back(dataset_of({subset_of(folder_.path())}, side));
  }
  options_.batch_size = 1;
  for (int round = 0; round < 10; ++round) {
    EXPECT_EQ(run().encoded, 4);
    expect_all_reused(4);
    fs::remove(folder_ / "a_0070x0066_sd.npz");
  }
}

TEST_F(SharedLatents, ProcessesDoNotWriteOneFileAtOnce) {
  for (const char* name : {"a.png", "b.png", "c.png"}) {
    write_png(folder_ / name, test_picture(70, 66, *name));
  }
  datasets_.push_back(dataset_of({subset_of(folder_.path())}, 128));
  options_.rank = {1, 2, 1};
  EXPECT_EQ(run().encoded, 2);  // of b, for both datasets
  EXPECT_THAT(names_of_kept(), ElementsAre("b_0070x0066_sd.npz"));
  options_.rank = {0, 2, 0};
  EXPECT_EQ(run().encoded, 4);
  options_.rank = {};
  expect_all_reused(6);
}

TEST_F(SharedLatents, SubsetsThatWantOtherLatentsOfAPictureDoNotSpoilEachOthers) {
  for (const char* name : {"a.png", "b.png"}) {
    write_png(folder_ / name, test_picture(70, 66, *name));
  }
  SubsetOptions flipping = subset(), masked = subset(), coarse = subset();
  flipping.flip_aug = true;
  masked.alpha_mask = true;
  coarse.resize_interpolation = Interpolation::kNearest;
  options_.posterior = true;
  datasets_[0].subsets = {subset(), flipping, masked, coarse, subset()};
  expect_each_its_own();
  datasets_ = {dataset_of({flipping}), dataset_of({subset()}), dataset_of({coarse}, 128)};
  expect_each_its_own();
}

}  // namespace
}  // namespace sdtune
