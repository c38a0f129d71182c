#include "diffusion/timesteps.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace sdtune {
namespace {

constexpr int64_t kMany = 20000;

double share_below(const at::Tensor& t, int64_t bound) {
  return (t < bound).to(at::kDouble).mean().item<double>();
}

// The distribution function of the logit-normal distribution.
double logit_normal_share(double x, double mean, double std) {
  return 0.5 * std::erfc(-(std::log(x / (1 - x)) - mean) / (std * std::sqrt(2.0)));
}

TEST(Timesteps, OfASampleDoNotDependOnTheBatchTheyAreDrawnIn) {
  for (const auto sampling : {TimestepSampling::kUniform, TimestepSampling::kLogitNormal,
                              TimestepSampling::kSigmoid, TimestepSampling::kCustom}) {
    const TimestepSettings settings{.sampling = sampling, .weights = {1, 2}};
    const at::Tensor t = draw_timesteps({7, 3, 0}, 4, settings);
    EXPECT_TRUE(t.slice(0, 1, 4).equal(draw_timesteps({7, 3, 1}, 3, settings)));
    EXPECT_FALSE(t.equal(draw_timesteps({7, 4, 0}, 4, settings)));
  }
}

TEST(Timesteps, FillTheirRangeEvenly) {
  const at::Tensor t = draw_timesteps({7, 0, 0}, kMany, {.low = 100, .high = 900});
  EXPECT_GE(t.min().item<int64_t>(), 100);
  EXPECT_LT(t.max().item<int64_t>(), 900);
  EXPECT_NEAR(t.to(at::kDouble).mean().item<double>(), 499.5, 6);
  EXPECT_NEAR(t.to(at::kDouble).std().item<double>(), 800 / std::sqrt(12.0), 5);
}

TEST(Timesteps, OfAnEmptyRangeAreItsEnd) {
  const at::Tensor t = draw_timesteps({7, 0, 0}, 5, {.low = 300, .high = 300});
  EXPECT_TRUE(t.equal(at::full({5}, 300, at::kLong)));
}

TEST(Timesteps, FollowTheLogitNormalDistribution) {
  const TimestepSettings settings{.low = 200,
                                  .high = 1000,
                                  .sampling = TimestepSampling::kLogitNormal,
                                  .logit_mean = 0.5,
                                  .logit_std = 0.8};
  const at::Tensor t = draw_timesteps({1, 0, 0}, kMany, settings);
  EXPECT_GE(t.min().item<int64_t>(), 200);
  for (const int64_t bound : {400, 600, 800}) {
    const double x = static_cast<double>(bound - 200) / 800;
    EXPECT_NEAR(share_below(t, bound), logit_normal_share(x, 0.5, 0.8), 0.012) << bound;
  }
}

TEST(Timesteps, SigmoidScaleIsTheSpread) {
  const TimestepSettings settings{.sampling = TimestepSampling::kSigmoid, .sigmoid_scale = 2};
  const at::Tensor t = draw_timesteps({1, 0, 0}, kMany, settings);
  for (const int64_t bound : {100, 500, 900}) {
    EXPECT_NEAR(share_below(t, bound), logit_normal_share(static_cast<double>(bound) / 1000, 0, 2),
                0.012)
        << bound;
  }
}

TEST(Timesteps, FollowCustomWeights) {
  const TimestepSettings settings{
      .high = 750, .sampling = TimestepSampling::kCustom, .weights = {1, 0, 3, 100}};
  const at::Tensor t = draw_timesteps({1, 0, 0}, kMany, settings);
  EXPECT_LT(t.max().item<int64_t>(), 750);
  EXPECT_NEAR(share_below(t, 250), 0.25, 0.012);
  EXPECT_EQ(share_below(t, 500), share_below(t, 250));
  EXPECT_NEAR(share_below(t, 625), 0.25 + 0.375, 0.012);
}

TEST(Timesteps, RefuseWeightsThatLeaveNothing) {
  const TimestepSettings settings{
      .high = 500, .sampling = TimestepSampling::kCustom, .weights = {0, 1}};
  EXPECT_THROW(draw_timesteps({1, 0, 0}, 1, settings), UsageError);
}

}  // namespace
}  // namespace sdtune
