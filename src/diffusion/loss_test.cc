#include "diffusion/loss.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace sdtune {
namespace {

const int64_t kTimesteps[] = {0, 1, 146, 500, 999};

at::Tensor timesteps() { return at::tensor({0, 1, 146, 500, 999}, at::kLong); }

double ratio(const NoiseSchedule& schedule, int64_t t) {
  const double a = schedule.alphas_cumprod[t].item<double>();
  return a / (1 - a);
}

using Weight = std::function<double(double)>;

// Compares every weight to a formula of the signal-to-noise ratio, in double precision.
void expect_weights(const LossSettings& settings, const NoiseSchedule& schedule,
                    const Weight& weight) {
  const at::Tensor weights = loss_weights(settings, schedule, timesteps());
  for (int i = 0; i < 5; ++i) {
    const double expected = weight(ratio(schedule, kTimesteps[i]));
    EXPECT_NEAR(weights[i].item<double>() / expected, 1, 1e-4) << kTimesteps[i];
  }
}

TEST(LossWeights, FollowTheirFormulas) {
  const NoiseSchedule schedule = scaled_linear_schedule();
  expect_weights({}, schedule, [](double) { return 1; });
  expect_weights({.min_snr_gamma = 5}, schedule, [](double s) { return std::min(s, 5.0) / s; });
  expect_weights({.min_snr_gamma = 5, .predicts_v = true}, schedule,
                 [](double s) { return std::min(s, 5.0) / (s + 1); });
  expect_weights({.scale_v_pred_loss_like_noise_pred = true, .predicts_v = true}, schedule,
                 [](double s) { return std::min(s, 1000.0) / (std::min(s, 1000.0) + 1); });
  expect_weights({.debiased_estimation_loss = true}, schedule,
                 [](double s) { return 1 / std::sqrt(std::min(s, 1000.0)); });
  expect_weights({.debiased_estimation_loss = true, .predicts_v = true}, schedule,
                 [](double s) { return 1 / (std::min(s, 1000.0) + 1); });
  expect_weights({.v_pred_like_loss = 0.3}, schedule, [](double s) {
    return 1 + 0.3 * (std::min(s, 1000.0) + 1) / std::min(s, 1000.0);
  });
  expect_weights({.min_snr_gamma = 1, .debiased_estimation_loss = true, .v_pred_like_loss = 2},
                 schedule, [](double s) {
                   const double m = std::min(s, 1000.0);
                   return std::min(s, 1.0) / s * (1 + 2 * (m + 1) / m) / std::sqrt(m);
                 });
}

TEST(LossWeights, UseTheScheduleInUse) {
  const NoiseSchedule schedule = with_zero_terminal_snr(scaled_linear_schedule());
  const at::Tensor weights =
      loss_weights({.min_snr_gamma = 5, .predicts_v = true}, schedule, timesteps());
  const double s = ratio(schedule, 500);
  EXPECT_NEAR(weights[3].item<double>(), s / (s + 1), 1e-6);
  EXPECT_EQ(weights[4].item<double>(), 0);
}

TEST(LossWeights, StayFiniteWhereNoSignalIsLeft) {
  const NoiseSchedule schedule = with_zero_terminal_snr(scaled_linear_schedule());
  const LossSettings all{
      .min_snr_gamma = 5, .debiased_estimation_loss = true, .v_pred_like_loss = 1};
  const at::Tensor last = at::tensor({998, 999}, at::kLong);
  const at::Tensor weights = loss_weights(all, schedule, last);
  EXPECT_TRUE(weights.isfinite().all().item<bool>());
  EXPECT_NEAR(weights[1].item<double>() / weights[0].item<double>(), 1, 1e-5);
}

TEST(ElementLosses, FollowTheirFormulas) {
  const NoiseSchedule schedule = scaled_linear_schedule();
  const auto loss_of = [&](const LossSettings& settings, double d, int64_t t) {
    const at::Tensor prediction = at::full({1, 1, 1, 1}, d), target = at::zeros({1, 1, 1, 1});
    return element_losses(settings, schedule, at::tensor({t}, at::kLong), prediction, target)
        .item<double>();
  };
  for (const double d : {0.0, 0.003, -0.4, 5.0}) {
    for (const int64_t t : kTimesteps) {
      EXPECT_NEAR(loss_of({}, d, t), d * d, 1e-5);
      EXPECT_NEAR(loss_of({.type = LossType::kL1}, d, t), std::abs(d), 1e-6);
      const double sigma = 1 / std::sqrt(ratio(schedule, t));
      const std::pair<HuberSchedule, double> schedules[] = {
          {HuberSchedule::kConstant, 0.2 * 1.5},
          {HuberSchedule::kExponential,
           std::exp(static_cast<double>(t) * std::log(0.2) / 1000) * 1.5},
          {HuberSchedule::kSnr, 0.8 / ((1 + sigma) * (1 + sigma)) + 0.2}};
      for (const auto& [huber_schedule, c] : schedules) {
        LossSettings settings{LossType::kHuber, huber_schedule, 0.2, 1.5};
        const double distance = 2 * (std::sqrt(d * d + c * c) - c);
        EXPECT_NEAR(loss_of(settings, d, t), c * distance, 1e-5) << d << " " << t;
        settings.type = LossType::kSmoothL1;
        EXPECT_NEAR(loss_of(settings, d, t), distance, 1e-5) << d << " " << t;
      }
    }
  }
}

TEST(ElementLosses, HuberHasAGradientWhereTheDistanceIsZero) {
  at::Tensor prediction = at::zeros({1, 1, 1, 2}).requires_grad_(true);
  const at::Tensor target = at::tensor({0.0f, -1.0f}).view({1, 1, 1, 2});
  element_losses({.type = LossType::kHuber}, scaled_linear_schedule(), at::tensor({10}, at::kLong),
                 prediction, target)
      .sum()
      .backward();
  EXPECT_EQ(prediction.grad()[0][0][0][0].item<double>(), 0);
  EXPECT_GT(prediction.grad()[0][0][0][1].item<double>(), 0);
}

TEST(SampleLosses, CountElementsByTheMask) {
  const at::Tensor elements = at::arange(16, at::kFloat).view({2, 2, 2, 2});
  const at::Tensor mask =
      at::tensor({1.0f, 0.5f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f}).view({2, 1, 2, 2});
  const at::Tensor plain = sample_losses(elements, std::nullopt, false);
  EXPECT_NEAR(plain[0].item<double>(), 3.5, 1e-6);
  const at::Tensor masked = sample_losses(elements, mask, false);
  EXPECT_NEAR(masked[0].item<double>(), (0 + 0.5 + 4 + 2.5) / 8, 1e-6);
  EXPECT_EQ(masked[1].item<double>(), 0);
  const at::Tensor normalized = sample_losses(elements, mask, true);
  EXPECT_NEAR(normalized[0].item<double>(), (0 + 0.5 + 4 + 2.5) / 3, 1e-5);
  EXPECT_EQ(normalized[1].item<double>(), 0);
}

TEST(LatentMask, IsTheMeanOfEachArea) {
  at::Tensor mask = at::zeros({1, 1, 16, 24});
  mask.slice(2, 0, 8).slice(3, 0, 4).fill_(1);
  const at::Tensor small = latent_mask(mask, {2, 3});
  EXPECT_EQ(small[0][0][0][0].item<double>(), 0.5);
  EXPECT_EQ(small.sum().item<double>(), 0.5);
}

}  // namespace
}  // namespace sdtune
