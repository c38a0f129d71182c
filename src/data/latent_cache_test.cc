#include "data/latent_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/hash.h"
#include "base/system.h"
#include "data/headers.h"
#include "data/test_latents.h"
#include "formats/npz.h"

namespace sdtune {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class LatentCacheFill : public LatentRuns {};

TEST_F(LatentCacheFill, IsDoneOnce) {
  const LatentCacheReport first = run();
  EXPECT_EQ(first.encoded, kPictures);
  EXPECT_EQ(first.reused, 0);
  EXPECT_TRUE(first.stale.empty());
  EXPECT_EQ(encoded_, kPictures);
  EXPECT_THAT(names_of_kept(),
              ElementsAre("p0_0064x0064_sd.npz", "p1_0071x0066_sd.npz", "p2_0072x0066_sd.npz",
                          "p3_0073x0066_sd.npz", "p4_0074x0066_sd.npz", "p5_0075x0066_sd.npz"));
  expect_all_reused();
}

TEST_F(LatentCacheFill, ChangedPicturesAreMadeAnew) {
  run();
  write_png(folder_ / "p3.png", test_picture(73, 66, 99));
  expect_stale(1, "the picture has changed");
}

TEST_F(LatentCacheFill, PicturesOfAnotherSizeAreMadeAnew) {
  options_.naming = LatentNaming::kStem;
  run();
  EXPECT_THAT(names_of_kept(),
              ElementsAre("p0.npz", "p1.npz", "p2.npz", "p3.npz", "p4.npz", "p5.npz"));
  write_png(folder_ / "p3.png", test_picture(100, 66, 3));
  expect_stale(1, "the picture has changed");
}

TEST_F(LatentCacheFill, CaptionsTimesAndOrderDoNotCount) {
  run();
  folder_.write("p1.caption", "another caption");
  make_old(folder_ / "p2.png");
  subset().num_repeats = 3;
  datasets_[0].batch_size = 5;
  expect_all_reused();
}

TEST_F(LatentCacheFill, OneMorePictureIsOneMoreEntry) {
  run();
  write_png(folder_ / "a.png", test_picture(64, 64, 50));
  const LatentCacheReport report = run();
  EXPECT_EQ(report.encoded, 1);
  EXPECT_EQ(report.reused, kPictures);
  EXPECT_TRUE(report.stale.empty());
}

TEST_F(LatentCacheFill, AnotherVaeMakesAllAnew) {
  run();
  fingerprint_ = "other";
  expect_stale(kPictures, "another VAE made it");
}

TEST_F(LatentCacheFill, AnotherResolutionMakesAllAnew) {
  run();
  datasets_[0].buckets.resolution = {128, 128};
  expect_stale(kPictures, "it was made for another size");
}

TEST_F(LatentCacheFill, AnotherInterpolationMakesAnewWhatIsResized) {
  run();
  subset().resize_interpolation = Interpolation::kNearest;
  expect_stale(kPictures - 1, "the picture was resized in another way");
  subset().resize_interpolation = Interpolation::kArea;
  expect_stale(kPictures - 1, "the picture was resized in another way");
  subset().resize_interpolation = Interpolation::kDefault;  // the same as kArea here
  expect_all_reused();
}

TEST_F(LatentCacheFill, FastDecodingMakesAllAnew) {
  run();
  options_.fast_decode = true;
  expect_stale(kPictures, "the picture was resized in another way");
}

TEST_F(LatentCacheFill, WhatIsWantedInAdditionIsMade) {
  run();
  subset().flip_aug = true;
  expect_stale(kPictures, "it has no mirrored latents");
  subset().alpha_mask = true;
  expect_stale(kPictures, "it has no alpha mask");
  options_.posterior = true;
  expect_stale(kPictures, "it has no mean and log-variance");
  subset().flip_aug = subset().alpha_mask = options_.posterior = false;
  expect_all_reused();  // too much is no fault
}

TEST_F(LatentCacheFill, OneFolderUnderTwoNamesKeepsWhatBothSubsetsWant) {
  subset().flip_aug = true;
  SubsetOptions plain = subset();
  plain.flip_aug = false;
  plain.image_dir = folder_.path() / "sub/..";
  fs::create_directory(folder_ / "sub");
  datasets_[0].subsets.push_back(plain);
  EXPECT_EQ(run().encoded, 2 * kPictures);
  EXPECT_EQ(names_of_kept().size(), 2 * kPictures);
  expect_all_reused(2 * kPictures);
}

TEST_F(LatentCacheFill, DamagedFilesAreMadeAnew) {
  run();
  const std::string name = "p4_0074x0066_sd.npz";
  const std::string whole = read_file(folder_ / name);
  folder_.write(name, whole.substr(0, whole.size() / 2));
  expect_stale(1, "it is damaged");
  EXPECT_EQ(read_file(folder_ / name), whole);
}

TEST_F(LatentCacheFill, SkipCheckTakesWhatIsThere) {
  run();
  fs::remove(folder_ / "p4_0074x0066_sd.npz");
  folder_.write("p5_0075x0066_sd.npz", "x");
  fingerprint_ = "other";
  options_.skip_check = true;
  const LatentCacheReport report = run();
  EXPECT_EQ(report.reused, kPictures - 1);
  EXPECT_EQ(report.encoded, 1);
}

TEST_F(LatentCacheFill, HashesThatAreRememberedAreNotReckonedAgain) {
  run();
  for (int i = 0; i < kPictures; ++i) make_old(folder_ / fmt::format("p{}.png", i));
  const auto run_with_index = [&] {
    ImageIndex index(folder_ / "index/i.sqlite");
    index.load(folder_.path());
    for (int i = 0; i < kPictures; ++i) {
      read_headers({folder_ / fmt::format("p{}.png", i)}, 1, index);  // as a run begins
    }
    options_.index = &index;
    expect_all_reused();
    options_.index = nullptr;
  };
  run_with_index();
  // Other pixels under the same stamp: nobody looks.
  const fs::path picture = folder_ / "p3.png";
  const auto time = fs::last_write_time(picture);
  std::string bytes = read_file(picture);
  bytes[bytes.size() - 30] ^= 1;
  folder_.write("p3.png", bytes);
  fs::last_write_time(picture, time);
  run_with_index();
}

TEST_F(LatentCacheFill, PicturesThatCannotBeReadAreCountedAndTheOthersMade) {
  const std::string png = read_file(folder_ / "p2.png");
  folder_.write("p2.png", png.substr(0, png.size() - 1000));
  LatentCacheReport report;
  EXPECT_THAT(stderr_of([&] { report = run(); }), HasSubstr((folder_ / "p2.png").string()));
  EXPECT_EQ(report.failed, 1);
  EXPECT_EQ(report.encoded, kPictures - 1);
}

TEST_F(LatentCacheFill, PicturesThatVanishAreCountedThoughTheirEntriesAreThere) {
  run();
  const Dataset dataset = made(datasets_);
  fs::remove(folder_ / "p2.png");
  LatentCache cache(dataset, options_);
  EXPECT_FALSE(cache.is_complete(fingerprint_));
  FakeEncoder fake;
  const LatentCacheReport report = cache.fill(fake.encoder());
  EXPECT_EQ(report.failed, 1);
  EXPECT_EQ(report.reused, kPictures - 1);
}

TEST_F(LatentCacheFill, EndsEarlyOnAStopSignalAndGoesOnFromThere) {
  options_.batch_size = 1;
  const Dataset dataset = made(datasets_);
  LatentCache cache(dataset, options_);
  const LatentEncoder stopping{"vae", [](std::span<const float> all, int64_t count, Size size) {
                                 request_stop_for_test(15);
                                 return FakeEncoder::encode(all, count, size);
                               }};
  EXPECT_EQ(cache.fill(stopping).encoded, 1);
  request_stop_for_test(0);
  const LatentCacheReport rest = run();
  EXPECT_EQ(rest.reused, 1);
  EXPECT_EQ(rest.encoded, kPictures - 1);
}

TEST_F(LatentCacheFill, IsCompleteFillsNothing) {
  EXPECT_FALSE(is_complete());
  EXPECT_TRUE(names_of_kept().empty());
  run();
  EXPECT_TRUE(is_complete());
  fs::remove(folder_ / "p1_0071x0066_sd.npz");
  EXPECT_FALSE(is_complete());
  run();
  fingerprint_ = "other";
  EXPECT_FALSE(is_complete());
}

TEST_F(LatentCacheFill, TakesTheFilesOfOtherProgramsByTheirShapes) {
  const std::vector<float> values(256, 0.5f);
  const auto kept = [&](const std::string& name) {
    write_npz(folder_ / name, {make_npy("latents", {4, 8, 8}, std::span<const float>(values))});
  };
  kept("p1.npz");
  kept("p2_0072x0066_sd.npz");
  kept("p3_0073x0066_sdxl.npz");
  LatentCacheReport report = run();
  EXPECT_EQ(report.reused, 2);
  EXPECT_EQ(report.encoded, kPictures - 2);
  fs::remove(folder_ / "p3_0073x0066_sd.npz");
  options_.sdxl_names = true;
  expect_all_reused();
}

TEST_F(LatentCacheFill, AugmentationsOfPixelsAreUsageErrors) {
  const auto error_with = [&](void (*change)(SubsetOptions&)) {
    auto datasets = datasets_;
    change(datasets[0].subsets[0]);
    const Dataset dataset = made(datasets);
    return error_text([&] { LatentCache(dataset, options_); });
  };
  EXPECT_THAT(error_with([](SubsetOptions& s) { s.random_crop = true; }), HasSubstr("random_crop"));
  EXPECT_THAT(error_with([](SubsetOptions& s) { s.color_aug = true; }), HasSubstr("color_aug"));
  EXPECT_THAT(error_with([](SubsetOptions& s) { s.face_crop_aug_range = FaceCropRange{}; }),
              HasSubstr("face_crop_aug_range"));
  EXPECT_EQ(error_with([](SubsetOptions& s) { s.flip_aug = s.alpha_mask = true; }), "");
}

TEST_F(LatentCacheFill, OfSeveralProcessesEachMakesItsShareAndTogetherAll) {
  std::vector<int64_t> shares;
  for (const int rank : {0, 1}) {
    options_.rank = {rank, 2, rank};
    const LatentCacheReport report = run();
    EXPECT_EQ(report.reused, 0);
    shares.push_back(report.encoded);
    EXPECT_EQ(encoded_, report.encoded);
    EXPECT_EQ(names_of_kept().size(), static_cast<size_t>(3 * (rank + 1)));
  }
  EXPECT_THAT(shares, ElementsAre(3, 3));
  options_.rank = {};
  expect_all_reused();
}

TEST_F(LatentCacheFill, TwoProcessesAtOnceDoNotHurtEachOther) {
  for (int i = 0; i < 20; ++i) {
    write_png(folder_ / fmt::format("q{}.png", i), test_picture(64, 64, 100 + i));
  }
  const Dataset dataset = made(datasets_);
  std::vector<std::thread> threads;
  for (int n = 0; n < 2; ++n) {
    threads.emplace_back([&] {
      LatentCache cache(dataset, options_);
      FakeEncoder fake;
      const LatentCacheReport report = cache.fill(fake.encoder());
      EXPECT_EQ(report.encoded + report.reused, kPictures + 20);
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect_all_reused(kPictures + 20);
  EXPECT_EQ(names_of_kept().size(), kPictures + 20u);  // and no temporary file
}

TEST_F(LatentCacheFill, AFolderThatCannotBeWrittenIsAnError) {
  if (geteuid() == 0) {
    fs::create_directory(folder_ / "p1_0071x0066_sd.npz");  // no file can take this name
  } else {
    fs::permissions(folder_.path(), fs::perms::owner_read | fs::perms::owner_exec);
  }
  EXPECT_THAT(error_text([&] { run(); }), HasSubstr("_sd.npz"));
  fs::permissions(folder_.path(), fs::perms::owner_all);
}

}  // namespace
}  // namespace sdtune
