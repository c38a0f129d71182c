#include "data/latent_encoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>
#include <stdexcept>

#include "base/hash.h"
#include "base/system.h"
#include "data/test_datasets.h"

namespace sdtune {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(SamplePosterior, IsMeanAndDeviationTimesNoise) {
  const std::vector<float> mean = {0, 1, -2, 3, 5}, logvar = {0, -1, 2, 100, -1000};
  std::vector<float> noise(5);
  Random(1, Draw::kPosterior, 2).fill_normal(noise);
  Random random(1, Draw::kPosterior, 2);
  const auto sample = sample_posterior(mean, logvar, random);
  ASSERT_EQ(sample.size(), 5u);
  // Log-variances are kept between -30 and 20, as Diffusers keeps them.
  const std::vector<double> deviation = {1, std::exp(-0.5), std::exp(1.0), std::exp(10.0),
                                         std::exp(-15.0)};
  for (size_t i = 0; i < 5; ++i) {
    const double expected = mean[i] + deviation[i] * noise[i];
    EXPECT_NEAR(sample[i], expected, 1e-5 * (1 + std::abs(expected))) << i;
  }
}

TEST(MirroredPlanes, TurnsEachRow) {
  EXPECT_EQ(mirrored_planes({1, 2, 3, 4, 5, 6}, 3), (std::vector<float>{3, 2, 1, 6, 5, 4}));
  EXPECT_TRUE(mirrored_planes({}, 3).empty());
}

// Five pictures of 64 x 64 and two of 192 x 64 pixels.
class Encoding : public testing::Test {
 protected:
  Encoding() {
    for (int i = 0; i < 5; ++i) {
      write_png(folder_ / fmt::format("p{}.png", i), test_picture(70, 66, i));
    }
    for (int i = 0; i < 2; ++i) {
      write_png(folder_ / fmt::format("wide{}.png", i), test_picture(200, 66, i));
    }
    options_ = bucketed(dataset_of({subset_of(folder_.path())}, 112));
    options_.buckets.resolution = {128, 96};
    dataset_ = made(options_);
  }

  using Entries = std::map<std::string, EncodedItem>;  // by the picture's name

  Entries encode(const Dataset& dataset, const EncodingOptions& options,
                 const LatentEncoder& encoder) {
    std::vector<size_t> items(dataset.items.size());
    std::iota(items.begin(), items.end(), size_t{0});
    Entries entries;
    std::mutex mutex;
    report_ = encode_items(dataset, items, encoder, options, [&](EncodedItem item) {
      const std::lock_guard lock(mutex);
      const std::string name = dataset.items[item.item].image.filename().string();
      EXPECT_TRUE(entries.emplace(name, std::move(item)).second) << name;
    });
    return entries;
  }
  Entries encode(const EncodingOptions& options = {}) {
    return encode(dataset_, options, fake_.encoder());
  }

  const Item& item(const std::string& name) const {
    return dataset_.items[item_named(dataset_, name)];
  }

  TestFolder folder_;
  DatasetOptions options_;
  Dataset dataset_;
  FakeEncoder fake_;
  EncodingReport report_;
};

void expect_equal(const Latents& a, const Latents& b) {
  EXPECT_EQ(a.sample, b.sample);
  EXPECT_EQ(a.mean, b.mean);
  EXPECT_EQ(a.logvar, b.logvar);
}

TEST_F(Encoding, SamplesThePosteriorWithNoiseOfThePicturesBytesAndBucket) {
  dataset_.subsets[0].flip_aug = true;
  const Entries entries = encode({.posterior = true});
  ASSERT_EQ(entries.size(), 7u);
  EXPECT_EQ(report_.encoded, 7);
  EXPECT_EQ(report_.failed, 0);
  for (const auto& [name, encoded] : entries) {
    const Item& one = item(name);
    const Size bucket = one.placement.bucket;
    const std::string hash = hash_file(one.image);
    EXPECT_EQ(encoded.image_hash, hash);
    auto pixels = plain_pixels(one, dataset_.subsets[0]);
    for (const bool flipped : {false, true}) {
      if (flipped) pixels = mirrored_planes(pixels, bucket.width);
      const Latents& latents = flipped ? encoded.entry.flipped : encoded.entry.plain;
      const LatentMoments moments = FakeEncoder::encode(pixels, 1, bucket);
      EXPECT_EQ(latents.mean, moments.mean);
      EXPECT_EQ(latents.logvar, moments.logvar);
      Random random(hash_number(hash), Draw::kCachedPosterior, bucket.width, bucket.height,
                    flipped);
      EXPECT_EQ(latents.sample, sample_posterior(moments.mean, moments.logvar, random));
    }
    EXPECT_NE(encoded.entry.plain.sample, encoded.entry.flipped.sample);
  }
}

TEST_F(Encoding, BatchSizeThreadsAndCompanyChangeNothing) {
  const Entries one = encode({.batch_size = 1, .posterior = true, .threads = 1});
  EXPECT_EQ(fake_.calls, 7);
  for (const EncodingOptions& options :
       {EncodingOptions{2, true}, EncodingOptions{5, true}, EncodingOptions{100, true, false, 8}}) {
    for (const auto& [name, encoded] : encode(options)) {
      expect_equal(encoded.entry.plain, one.at(name).entry.plain);
    }
  }
  // Alone, in another folder and under another name.
  TestFolder elsewhere;
  fs::copy_file(folder_ / "p3.png", elsewhere / "x.png");
  DatasetOptions alone = options_;
  alone.subsets[0].image_dir = elsewhere.path();
  const Dataset other = made(alone);
  const Entries lonely = encode(other, {.posterior = true}, fake_.encoder());
  expect_equal(lonely.at("x.png").entry.plain, one.at("p3.png").entry.plain);
}

TEST_F(Encoding, NoiseDiffersFromPictureToPicture) {
  const LatentEncoder constant{
      "vae", [](std::span<const float>, int64_t count, Size size) {
        const size_t values = count * 4 * size.width * size.height / 64;
        return LatentMoments{std::vector<float>(values), std::vector<float>(values)};
      }};
  const Entries entries = encode(dataset_, {.batch_size = 5}, constant);
  std::set<std::vector<float>> samples;
  for (const auto& [name, encoded] : entries) samples.insert(encoded.entry.plain.sample);
  EXPECT_EQ(samples.size(), 7u);
}

TEST_F(Encoding, BatchesAreOfOneShapeTheLargestFirst) {
  std::vector<std::pair<Size, int64_t>> calls;
  const LatentEncoder noting{"vae", [&](std::span<const float> pixels, int64_t count, Size size) {
                               calls.push_back({size, count});
                               EXPECT_EQ(pixels.size(), count * 3u * size.width * size.height);
                               return FakeEncoder::encode(pixels, count, size);
                             }};
  encode(dataset_, {.batch_size = 3}, noting);
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(calls[0], std::pair(item("wide0.png").placement.bucket, int64_t{2}));
  EXPECT_EQ(calls[1].second, 3);
  EXPECT_EQ(calls[2].second, 2);
}

TEST_F(Encoding, MomentsAndMirroredLatentsAreKeptOnRequestOnly) {
  for (const auto& [name, encoded] : encode()) {
    EXPECT_FALSE(encoded.entry.plain.sample.empty());
    EXPECT_TRUE(encoded.entry.plain.mean.empty() && encoded.entry.plain.logvar.empty());
    EXPECT_TRUE(encoded.entry.flipped.sample.empty() && encoded.entry.alpha_mask.empty());
  }
}

TEST_F(Encoding, FlipsOfOneSubsetDoNotSpreadToAnother) {
  SubsetOptions flipping = options_.subsets[0];
  flipping.flip_aug = true;
  options_.subsets.push_back(flipping);
  dataset_ = made(options_);
  int flipped = 0;
  const EncodingReport report =
      encode_items(dataset_, {0, 1, 7, 8}, fake_.encoder(), {.batch_size = 4, .threads = 1},
                   [&](EncodedItem item) {
                     EXPECT_EQ(item.entry.flipped.sample.empty(), item.item < 7) << item.item;
                     flipped += !item.entry.flipped.sample.empty();
                   });
  EXPECT_EQ(report.encoded, 4);
  EXPECT_EQ(flipped, 2);
}

TEST_F(Encoding, MasksAreThoseOfThePictureAsItIsCut) {
  const Image picture = with_alpha(test_picture(90, 66));
  write_rgba_png(folder_ / "p1.png", picture);
  options_.subsets[0].alpha_mask = options_.subsets[0].flip_aug = true;
  dataset_ = made(options_);
  SubsetOptions unflipped = dataset_.subsets[0];
  unflipped.flip_aug = false;
  const Entries entries = encode();
  for (const char* name : {"p0.png", "p1.png"}) {
    const std::vector<float> mask = load_pixels({item(name), unflipped}).alpha_mask;
    EXPECT_EQ(entries.at(name).entry.alpha_mask, mask);
    EXPECT_EQ(mask[0] == 1, std::string(name) == "p0.png");
  }
}

TEST_F(Encoding, PicturesThatCannotBeReadAreNamedAndTheOthersKept) {
  fs::remove(folder_ / "p1.png");
  const std::string png = read_file(folder_ / "wide0.png");
  folder_.write("wide0.png", png.substr(0, png.size() / 2));
  Entries entries;
  const std::string log = stderr_of([&] { entries = encode({.batch_size = 2}); });
  EXPECT_EQ(report_.encoded, 5);
  EXPECT_EQ(report_.failed, 2);
  EXPECT_EQ(entries.size(), 5u);
  EXPECT_FALSE(entries.contains("p1.png") || entries.contains("wide0.png"));
  EXPECT_THAT(log, AllOf(HasSubstr((folder_ / "p1.png").string()),
                         HasSubstr((folder_ / "wide0.png").string())));
}

TEST_F(Encoding, LatentsThatAreNotFiniteAreAnErrorNamingThePicture) {
  const auto pixels = plain_pixels(item("p2.png"), dataset_.subsets[0]);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const LatentEncoder failing{"vae",
                                [&](std::span<const float> all, int64_t count, Size size) {
                                  LatentMoments moments = FakeEncoder::encode(all, count, size);
                                  for (int64_t n = 0; n < count; ++n) {
                                    const auto own = all.subspan(n * (all.size() / count));
                                    if (std::equal(pixels.begin(), pixels.end(), own.begin())) {
                                      moments.mean[n * moments.mean.size() / count + 7] = bad;
                                    }
                                  }
                                  return moments;
                                },
                                "take another VAE"};
    for (const int64_t batch_size : {1, 5}) {
      const std::string error =
          error_text([&] { encode(dataset_, {.batch_size = batch_size}, failing); });
      EXPECT_THAT(error, AllOf(HasSubstr((folder_ / "p2.png").string()), HasSubstr("not finite"),
                               HasSubstr("take another VAE")));
    }
  }
}

TEST_F(Encoding, FailuresOfTheEncoderAndOfWritingAreThrown) {
  const LatentEncoder failing{"vae", [](std::span<const float>, int64_t, Size) -> LatentMoments {
                                throw std::runtime_error("out of memory");
                              }};
  EXPECT_THROW(encode(dataset_, {}, failing), std::runtime_error);
  const auto full = [](EncodedItem) { throw Error("the disk is full", "x.npz"); };
  EXPECT_THROW(encode_items(dataset_, {0, 1, 2}, fake_.encoder(), {}, full), Error);
}

TEST_F(Encoding, EndsEarlyOnAStopSignalAndKeepsWhatIsDone) {
  const LatentEncoder stopping{"vae", [&](std::span<const float> all, int64_t count, Size size) {
                                 request_stop_for_test(2);
                                 return FakeEncoder::encode(all, count, size);
                               }};
  const Entries entries = encode(dataset_, {.batch_size = 2}, stopping);
  request_stop_for_test(0);
  EXPECT_EQ(report_.encoded, 2);
  EXPECT_EQ(entries.size(), 2u);
}

TEST_F(Encoding, OfNothingAsksNobody) {
  const EncodingReport report =
      encode_items(dataset_, {}, fake_.encoder(), {}, [](EncodedItem) { FAIL(); });
  EXPECT_EQ(report.encoded, 0);
  EXPECT_EQ(fake_.calls, 0);
}

}  // namespace
}  // namespace sdtune
