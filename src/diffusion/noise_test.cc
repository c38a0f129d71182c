#include "diffusion/noise.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/philox.h"

namespace sdtune {
namespace {

at::Tensor latents_of(int64_t count, int64_t side = 8) {
  return draw_noise({99, 0, 0}, {count, 4, side, side}) + 0.5;
}

at::Tensor noise_with(const NoiseSettings& settings, int64_t count = 3) {
  return training_noise({7, 2, 0}, settings, latents_of(count));
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(TrainingNoise, IsPlainWithoutSettings) {
  EXPECT_TRUE(noise_with({}).equal(draw_noise({7, 2, 0}, {3, 4, 8, 8})));
}

TEST(TrainingNoise, OfASampleDoesNotDependOnItsBatch) {
  const NoiseSettings all{.offset = 0.1,
                          .offset_random_strength = true,
                          .adaptive_scale = 0.02,
                          .multires_iterations = 4,
                          .multires_discount = 0.5,
                          .ip_gamma = 0.1,
                          .ip_gamma_random_strength = true};
  const at::Tensor latents = latents_of(4);
  const at::Tensor four = training_noise({7, 2, 0}, all, latents);
  const at::Tensor two = training_noise({7, 2, 2}, all, latents.slice(0, 2, 4));
  EXPECT_TRUE(four.slice(0, 2, 4).equal(two));
  EXPECT_TRUE(perturbed_noise({7, 2, 0}, all, four)
                  .slice(0, 2, 4)
                  .equal(perturbed_noise({7, 2, 2}, all, two)));
  EXPECT_FALSE(training_noise({7, 3, 0}, all, latents).equal(four));
}

TEST(TrainingNoise, OffsetMovesWholeChannels) {
  const at::Tensor moved = noise_with({.offset = 0.1}) - noise_with({});
  const at::Tensor channels = moved.mean({2, 3}, true);
  EXPECT_LT(difference(moved, channels.expand_as(moved)), 1e-6);
  EXPECT_LT(difference(noise_with({.offset = 0.3}) - noise_with({}), 3 * moved), 1e-6);
  const at::Tensor many = noise_with({.offset = 0.1}, 500) - noise_with({}, 500);
  EXPECT_NEAR(many.mean({2, 3}).std().item<double>(), 0.1, 0.005);
}

TEST(TrainingNoise, RandomStrengthWeakensTheOffsetOfEachSample) {
  const NoiseSettings full{.offset = 1};
  const NoiseSettings random{.offset = 1, .offset_random_strength = true};
  const at::Tensor ratio = (noise_with(random, 400) - noise_with({}, 400)).mean({2, 3}) /
                           (noise_with(full, 400) - noise_with({}, 400)).mean({2, 3});
  const at::Tensor strength = std::get<0>(ratio.median(1));
  EXPECT_LT((ratio - strength.unsqueeze(1)).abs().median().item<double>(), 1e-3);
  EXPECT_NEAR(strength.mean().item<double>(), 0.5, 0.06);
  EXPECT_NEAR(strength.std().item<double>(), std::sqrt(1 / 12.0), 0.03);
}

TEST(TrainingNoise, AdaptiveOffsetFollowsTheLatentsMeans) {
  const at::Tensor plain = noise_with({});
  const at::Tensor unit = (noise_with({.offset = 1}) - plain).mean({2, 3});
  const at::Tensor means = latents_of(3).mean({2, 3}).abs();
  for (const double scale : {0.5, -0.5}) {
    const at::Tensor expected = (0.2 + scale * means).clamp_min(0) * unit;
    const at::Tensor moved =
        (noise_with({.offset = 0.2, .adaptive_scale = scale}) - plain).mean({2, 3});
    EXPECT_LT(difference(moved, expected), 1e-5) << scale;
  }
}

// Bilinear enlargement with half-pixel centres, one value.
double enlarged_at(const at::Tensor& coarse, int64_t side, int64_t y, int64_t x) {
  const auto values = coarse.accessor<float, 2>();
  const auto place = [side](int64_t at, int64_t from, int64_t& low, int64_t& high) {
    const double scale = static_cast<double>(from) / static_cast<double>(side);
    const double at_from = std::max(0.0, (static_cast<double>(at) + 0.5) * scale - 0.5);
    low = static_cast<int64_t>(at_from);
    high = std::min(low + 1, from - 1);
    return at_from - static_cast<double>(low);
  };
  int64_t y0, y1, x0, x1;
  const double fy = place(y, coarse.size(0), y0, y1), fx = place(x, coarse.size(1), x0, x1);
  return (1 - fy) * ((1 - fx) * values[y0][x0] + fx * values[y0][x1]) +
         fy * ((1 - fx) * values[y1][x0] + fx * values[y1][x1]);
}

TEST(TrainingNoise, AddsCoarserNoiseAsTheFormulaSays) {
  constexpr int64_t kSide = 16;
  const NoiseSettings settings{.multires_iterations = 3, .multires_discount = 0.4};
  const at::Tensor noise = training_noise({7, 2, 5}, settings, latents_of(1, kSide))[0];
  at::Tensor sum = draw_noise({7, 2, 5}, {1, 4, kSide, kSide})[0].to(at::kDouble);
  Random random(7, Draw::kCoarseNoise, 2, 5);
  int levels = 0;
  for (int i = 0; i < 3; ++i) {
    const double r = std::pow(2 + 2 * random.uniform(), i);
    const int64_t side = std::max<int64_t>(1, static_cast<int64_t>(kSide / r));
    at::Tensor coarse = at::empty({4, side, side});
    random.fill_normal({coarse.data_ptr<float>(), static_cast<size_t>(coarse.numel())});
    for (int64_t c = 0; c < 4; ++c) {
      for (int64_t y = 0; y < kSide; ++y) {
        for (int64_t x = 0; x < kSide; ++x) {
          sum[c][y][x] += std::pow(0.4, i) * enlarged_at(coarse[c], kSide, y, x);
        }
      }
    }
    ++levels;
    if (side == 1) break;
  }
  ASSERT_GE(levels, 2);
  EXPECT_LT(difference(noise.to(at::kDouble), sum / sum.std()), 1e-5);
}

TEST(TrainingNoise, MultiresKeepsTheSpreadOfEachSample) {
  const NoiseSettings settings{.multires_iterations = 6, .multires_discount = 0.8};
  const at::Tensor noise = noise_with(settings, 50);
  EXPECT_LT((noise.flatten(1).std(1) - 1).abs().max().item<double>(), 1e-5);
  const auto spread_of_means = [](const at::Tensor& n) {
    return n.mean({2, 3}).std().item<double>();
  };
  EXPECT_GT(spread_of_means(noise), 2 * spread_of_means(noise_with({}, 50)));
}

TEST(PerturbedNoise, AddsNoiseOfItsOwn) {
  const at::Tensor noise = noise_with({}, 100);
  const at::Tensor added = perturbed_noise({7, 2, 0}, {.ip_gamma = 0.1}, noise) - noise;
  EXPECT_NEAR(added.std().item<double>(), 0.1, 0.002);
  EXPECT_LT(std::abs((added * noise).mean().item<double>()), 0.003);
  EXPECT_TRUE(perturbed_noise({7, 2, 0}, {}, noise).equal(noise));
  const at::Tensor ratio =
      (perturbed_noise({7, 2, 0}, {.ip_gamma = 0.1, .ip_gamma_random_strength = true}, noise) -
       noise)
          .flatten(1)
          .std(1) /
      added.flatten(1).std(1);
  EXPECT_LT(ratio.max().item<double>(), 1.001);
  EXPECT_NEAR(ratio.mean().item<double>(), 0.5, 0.1);
  EXPECT_NEAR(ratio.std().item<double>(), std::sqrt(1 / 12.0), 0.07);
}

}  // namespace
}  // namespace sdtune
