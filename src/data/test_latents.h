// For the tests of kept latents: a folder of pictures whose cache is filled again and again, as
// runs that follow each other do.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "data/latent_cache.h"
#include "data/test_datasets.h"

namespace sdtune {

class LatentRuns : public testing::Test {
 protected:
  static constexpr int kPictures = 6;

  // p0 to p5, trained at 64 x 64; p0 has that size already.
  LatentRuns() {
    write_png(folder_ / "p0.png", test_picture(64, 64, 0));
    for (int i = 1; i < kPictures; ++i) {
      write_png(folder_ / fmt::format("p{}.png", i), test_picture(70 + i, 66, i));
    }
    datasets_ = {dataset_of({subset_of(folder_.path())})};
    options_.to_disk = true;
    options_.batch_size = 2;
    options_.threads = 3;
  }

  SubsetOptions& subset() { return datasets_[0].subsets[0]; }

  // What a run reports that begins now. encoded_ is what the encoder saw.
  LatentCacheReport run() {
    const Dataset dataset = made(datasets_);
    LatentCache cache(dataset, options_);
    FakeEncoder fake;
    const LatentCacheReport report = cache.fill(fake.encoder(fingerprint_));
    encoded_ = fake.pictures;
    return report;
  }

  bool is_complete() {
    const Dataset dataset = made(datasets_);
    return LatentCache(dataset, options_).is_complete(fingerprint_);
  }

  // A run that makes `stale` entries anew for this reason and reuses all others.
  void expect_stale(int stale, const std::string& reason) {
    const LatentCacheReport report = run();
    EXPECT_EQ(report.encoded, stale);
    EXPECT_EQ(report.reused, kPictures - stale);
    EXPECT_EQ(report.failed, 0);
    EXPECT_EQ(report.stale, (std::map<std::string, int64_t>{{reason, stale}}));
    expect_all_reused();
  }

  void expect_all_reused(int pictures = kPictures) {
    const LatentCacheReport report = run();
    EXPECT_EQ(report.reused, pictures);
    EXPECT_EQ(report.encoded, 0);
    EXPECT_EQ(encoded_, 0);
    EXPECT_TRUE(report.stale.empty());
  }

  std::vector<std::string> names_of_kept() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".npz") || name.starts_with(".")) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  TestFolder folder_;
  std::vector<DatasetOptions> datasets_;
  LatentCacheOptions options_;
  std::string fingerprint_ = "vae";
  int encoded_ = 0;
};

}  // namespace sdtune
