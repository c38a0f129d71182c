#include "data/buckets.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <algorithm>
#include <cstdlib>

#include "base/error.h"

namespace sdtune {
namespace {

BucketOptions with_buckets(Size resolution = {512, 512}) {
  BucketOptions options;
  options.enable = true;
  options.resolution = resolution;
  return options;
}

BucketOptions without_upscaling() {
  BucketOptions options = with_buckets();
  options.no_upscale = true;
  return options;
}

struct Golden {
  Size image;
  Placement upscaled;
  Placement not_upscaled;
};

// Values that sd-scripts gave for 512 x 512, sides 256 to 1024, steps of 64.
const Golden kGoldens[] = {
    {{512, 512}, {{512, 512}, {512, 512}}, {{512, 512}, {512, 512}}},
    {{700, 700}, {{512, 512}, {512, 512}}, {{512, 512}, {512, 512}}},
    {{1920, 1080}, {{640, 384}, {683, 384}}, {{640, 384}, {683, 384}}},
    {{1080, 1920}, {{384, 640}, {384, 683}}, {{384, 640}, {384, 683}}},
    {{300, 200}, {{640, 384}, {640, 427}}, {{256, 192}, {300, 200}}},
    {{640, 384}, {{640, 384}, {640, 384}}, {{640, 384}, {640, 384}}},
    {{4000, 500}, {{1024, 256}, {2048, 256}}, {{1024, 128}, {1024, 128}}},
};

TEST(Buckets, PlaceAsSdScriptsDoes) {
  const BucketChooser upscaling(checked(with_buckets())), plain(checked(without_upscaling()));
  for (const Golden& golden : kGoldens) {
    SCOPED_TRACE(testing::Message() << golden.image.width << " x " << golden.image.height);
    const auto a = upscaling.place(golden.image), b = plain.place(golden.image);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(a->bucket, golden.upscaled.bucket);
    EXPECT_EQ(a->resized, golden.upscaled.resized);
    EXPECT_EQ(b->bucket, golden.not_upscaled.bucket);
    EXPECT_EQ(b->resized, golden.not_upscaled.resized);
  }
}

TEST(Buckets, ListIsTheKnownOne) {
  std::vector<Size> expected = {{256, 832}, {256, 896}, {256, 960}, {256, 1024}, {320, 704},
                                {320, 768}, {384, 640}, {448, 576}, {512, 512}};
  for (int i = 7; i >= 0; --i) expected.push_back({expected[i].height, expected[i].width});
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(bucket_list(with_buckets()), expected);
  EXPECT_EQ(bucket_list(with_buckets({768, 768})).size(), 19u);
  EXPECT_EQ(bucket_list(with_buckets({512, 768})).size(), 19u);
  EXPECT_EQ(bucket_list(with_buckets({640, 640})).size(), 17u);
}

TEST(Buckets, OffMeansOne) {
  BucketOptions options;
  options.resolution = {512, 768};
  EXPECT_EQ(bucket_list(checked(options)), (std::vector<Size>{{512, 768}}));
  const auto placement = BucketChooser(options).place({1000, 1000});
  ASSERT_TRUE(placement);
  EXPECT_EQ(placement->bucket, (Size{512, 768}));
  EXPECT_EQ(placement->resized, (Size{768, 768}));
}

TEST(Buckets, SidesAreRoundedToSteps) {
  BucketOptions options = with_buckets();
  options.min_reso = 300;
  options.max_reso = 1000;
  const BucketOptions rounded = checked(options);
  EXPECT_EQ(rounded.min_reso, 256);
  EXPECT_EQ(rounded.max_reso, 1024);
}

TEST(Buckets, NonsenseIsAUsageError) {
  BucketOptions steps = with_buckets(), high = with_buckets(), low = with_buckets(), odd, tiny;
  steps.reso_steps = 32;
  high.min_reso = 576;
  low.max_reso = 448;
  odd.resolution = {500, 512};
  tiny = with_buckets({32, 32});
  tiny.min_reso = 32;
  for (const BucketOptions& options : {steps, high, low, odd, tiny}) {
    EXPECT_THROW(checked(options), UsageError);
  }
}

TEST(Buckets, StripsFitNone) {
  for (const Size strip : {Size{1, 4000}, Size{4000, 1}, Size{20000, 8}, Size{0, 0}}) {
    EXPECT_FALSE(BucketChooser(with_buckets()).place(strip));
    EXPECT_FALSE(BucketChooser(without_upscaling()).place(strip));
    EXPECT_FALSE(BucketChooser(BucketOptions()).place(strip));
  }
  EXPECT_FALSE(BucketChooser(without_upscaling()).place({63, 500}));
}

rc::Gen<Size> sizes(int low, int high) {
  return rc::gen::map(rc::gen::pair(rc::gen::inRange(low, high), rc::gen::inRange(low, high)),
                      [](std::pair<int, int> p) {
                        return Size{p.first, p.second};
                      });
}

RC_GTEST_PROP(Buckets, NoneIsOverTheAreaAndAllAreOnSteps, ()) {
  BucketOptions options = with_buckets();
  options.resolution = {*rc::gen::inRange(32, 200) * 8, *rc::gen::inRange(32, 200) * 8};
  options.max_reso = 2048;
  options = checked(options);
  const auto list = bucket_list(options);
  RC_ASSERT(!list.empty());
  for (const Size bucket : list) {
    RC_ASSERT(bucket.width * bucket.height <= options.resolution.width * options.resolution.height);
    RC_ASSERT(bucket.width % 64 == 0 && bucket.height % 64 == 0);
  }
}

RC_GTEST_PROP(Buckets, ResizedCoversTheBucketAtThePicturesProportions, ()) {
  const Size image = *sizes(1, 5000);
  const bool no_upscale = *rc::gen::arbitrary<bool>();
  const auto placement =
      BucketChooser(no_upscale ? without_upscaling() : with_buckets()).place(image);
  if (!placement) return;
  const auto [bucket, resized] = *placement;
  RC_ASSERT(bucket.width >= 64 && bucket.height >= 64);
  RC_ASSERT(resized.width >= bucket.width && resized.height >= bucket.height);
  RC_ASSERT(bucket.width * bucket.height <= 512 * 512);
  if (no_upscale) RC_ASSERT(resized.width <= image.width && resized.height <= image.height);
  // Each side is at most half a pixel off; cross-multiplied to stay clear of divisions.
  const int64_t skew =
      int64_t{resized.width} * image.height - int64_t{resized.height} * image.width;
  RC_ASSERT(std::abs(skew) <= std::max(image.width, image.height));
}

}  // namespace
}  // namespace sdtune
