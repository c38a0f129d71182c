#include "optim/ema.h"

#include <gtest/gtest.h>

namespace sdtune {
namespace {

TEST(Ema, FollowsTheFormulaWithARisingDecay) {
  at::Tensor weight = at::tensor({1.0F, -2.0F}).requires_grad_(true);
  Ema ema({{"w", weight}}, 0.25, false);
  double expected[2] = {1, -2};
  for (int64_t step = 0; step < 5; ++step) {
    const at::NoGradGuard no_grad;
    weight += 1;
    ema.update(step);
    const double decay = std::min(0.25, (1.0 + step) / (10.0 + step));
    for (int i = 0; i < 2; ++i) {
      const double w = (i == 0 ? 1.0 : -2.0) + static_cast<double>(step) + 1;
      expected[i] = decay * expected[i] + (1 - decay) * w;
      EXPECT_NEAR(ema.averages()[0].second[i].item<double>(), expected[i], 1e-5);
    }
  }
  EXPECT_EQ(ema.averages()[0].first, "w");
}

TEST(Ema, OfNarrowWeightsIsKeptInFp32AndApartFromThem) {
  at::Tensor weight = at::ones({3}, at::kBFloat16).requires_grad_(true);
  Ema ema({{"w", weight}}, 0.999, true);
  const at::NoGradGuard no_grad;
  weight.fill_(2);
  EXPECT_EQ(ema.averages()[0].second.scalar_type(), at::kFloat);
  EXPECT_EQ(ema.averages()[0].second[0].item<float>(), 1.0F);
  for (int64_t step = 100000; step < 100003; ++step) ema.update(step);
  // bf16 could not tell these from 1.
  EXPECT_NEAR(ema.averages()[0].second[0].item<float>(), 1.002997, 1e-6);
}

}  // namespace
}  // namespace sdtune
