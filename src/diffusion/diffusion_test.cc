#include <gtest/gtest.h>

#include "diffusion/draws.h"
#include "diffusion/noise_schedule.h"

namespace sdtune {
namespace {

// Values from the schedule's definition, evaluated in double precision by hand.
TEST(NoiseSchedule, HasTheKnownEndPoints) {
  const NoiseSchedule schedule = scaled_linear_schedule();
  EXPECT_NEAR(schedule.alphas_cumprod[0].item<double>(), 0.99915, 1e-6);
  EXPECT_NEAR(schedule.alphas_cumprod[500].item<double>(), 0.276333, 1e-5);
  EXPECT_NEAR(schedule.alphas_cumprod[999].item<double>(), 0.004660, 1e-6);
}

TEST(NoiseSchedule, NoisyLatentsAndVelocityInvertToTheInputs) {
  const NoiseSchedule schedule = scaled_linear_schedule();
  const at::Tensor x = draw_noise({1, 0, 0}, {3, 4, 8, 8});
  const at::Tensor noise = draw_noise({2, 0, 0}, {3, 4, 8, 8});
  const at::Tensor t = at::tensor({0, 500, 999}, at::kLong);
  const at::Tensor noisy = add_noise(schedule, x, noise, t);
  const at::Tensor v = velocity(schedule, x, noise, t);
  const at::Tensor a = schedule.alphas_cumprod.index_select(0, t).view({3, 1, 1, 1});
  EXPECT_LT((a.sqrt() * noisy - (1 - a).sqrt() * v - x).abs().max().item<double>(), 1e-5);
  EXPECT_LT(((1 - a).sqrt() * noisy + a.sqrt() * v - noise).abs().max().item<double>(), 1e-5);
}

TEST(NoiseSchedule, CoefficientsStayFp32ForHalfInputs) {
  const NoiseSchedule schedule = scaled_linear_schedule();
  const at::Tensor zero = at::zeros({1, 1, 1, 1}, at::kBFloat16);
  const at::Tensor one = at::ones({1, 1, 1, 1}, at::kBFloat16);
  const at::Tensor noisy = add_noise(schedule, zero, one, at::tensor({0}, at::kLong));
  EXPECT_EQ(noisy.scalar_type(), at::kFloat);
  EXPECT_NEAR(noisy.item<double>(), 0.0292, 1e-4);
}

TEST(Draws, OfASampleDoNotDependOnTheBatchTheyAreDrawnIn) {
  const at::Tensor four = draw_noise({7, 3, 0}, {4, 4, 2, 2});
  const at::Tensor two = draw_noise({7, 3, 2}, {2, 4, 2, 2});
  EXPECT_TRUE(four.slice(0, 2, 4).equal(two));
  EXPECT_FALSE(four[0].equal(four[1]));
  EXPECT_FALSE(draw_noise({7, 4, 0}, {4, 4, 2, 2}).equal(four));
  const at::Tensor t = draw_timesteps({7, 3, 0}, 4, 0, 1000);
  EXPECT_TRUE(t.slice(0, 1, 4).equal(draw_timesteps({7, 3, 1}, 3, 0, 1000)));
}

TEST(Draws, TimestepsFillTheirRangeEvenly) {
  const at::Tensor t = draw_timesteps({7, 0, 0}, 20000, 100, 900);
  EXPECT_GE(t.min().item<int64_t>(), 100);
  EXPECT_LT(t.max().item<int64_t>(), 900);
  EXPECT_NEAR(t.to(at::kDouble).mean().item<double>(), 499.5, 6);
  EXPECT_NEAR(t.to(at::kDouble).std().item<double>(), 800 / std::sqrt(12.0), 5);
}

}  // namespace
}  // namespace sdtune
