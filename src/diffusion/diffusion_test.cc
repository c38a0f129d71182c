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
}

// Values of the formula in double precision.
TEST(NoiseSchedule, WithZeroTerminalSnrEndsInNoiseAlone) {
  const NoiseSchedule schedule = with_zero_terminal_snr(scaled_linear_schedule());
  EXPECT_NEAR(schedule.alphas_cumprod[0].item<double>(), 0.99915, 1e-6);
  EXPECT_NEAR(schedule.alphas_cumprod[500].item<double>(), 0.241019, 1e-5);
  EXPECT_EQ(schedule.alphas_cumprod[999].item<double>(), 0);
  const at::Tensor t = at::tensor({0, 999}, at::kLong);
  const at::Tensor s = signal_to_noise(schedule, t);
  EXPECT_NEAR(s[0].item<double>(), 1175.5, 0.5);
  EXPECT_EQ(s[1].item<double>(), 0);
  const at::Tensor x = draw_noise({1, 0, 0}, {2, 4, 2, 2}),
                   noise = draw_noise({2, 0, 0}, {2, 4, 2, 2});
  EXPECT_TRUE(add_noise(schedule, x, noise, t)[1].equal(noise[1]));
  EXPECT_TRUE(velocity(schedule, x, noise, t)[1].equal(-x[1]));
}

}  // namespace
}  // namespace sdtune
