#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "optim/adamw.h"
#include "optim/grad_scaler.h"
#include "optim/make_optimizer.h"

namespace sdtune {
namespace {

at::Tensor parameter(std::vector<float> values) { return at::tensor(values).requires_grad_(true); }

void set_gradient(at::Tensor& p, std::vector<float> values) {
  p.mutable_grad() = at::tensor(values);
}

TEST(AdamW, FollowsThePaperOverThreeSteps) {
  at::Tensor p = parameter({1.0f, -2.0f});
  AdamW optimizer({{{{"p", p}}, 0.1}},
                  {.beta1 = 0.8, .beta2 = 0.9, .eps = 1e-6, .weight_decay = 0.05});
  double w[2] = {1, -2}, m[2] = {0, 0}, v[2] = {0, 0};
  for (int t = 1; t <= 3; ++t) {
    const float g[2] = {0.3f * static_cast<float>(t), -0.1f};
    set_gradient(p, {g[0], g[1]});
    optimizer.step({.lr_factor = 0.5});
    for (int i = 0; i < 2; ++i) {
      m[i] = 0.8 * m[i] + 0.2 * g[i];
      v[i] = 0.9 * v[i] + 0.1 * g[i] * g[i];
      w[i] -= 0.05 * 0.05 * w[i];
      w[i] -= 0.05 * (m[i] / (1 - std::pow(0.8, t))) /
              (std::sqrt(v[i] / (1 - std::pow(0.9, t))) + 1e-6);
      EXPECT_NEAR(p[i].item<double>(), w[i], 1e-6);
    }
  }
}

TEST(AdamW, LeavesParametersWithoutGradientAlone) {
  at::Tensor used = parameter({1.0f}), unused = parameter({1.0f});
  AdamW optimizer({{{{"used", used}, {"unused", unused}}, 0.1}}, {});
  set_gradient(used, {1.0f});
  optimizer.step({});
  EXPECT_LT(used.item<float>(), 1.0f);
  EXPECT_EQ(unused.item<float>(), 1.0f);
}

TEST(AdamW, StateMovedToAnotherOptimizerContinuesBitForBit) {
  at::Tensor a = parameter({1.0f, 2.0f}), b = parameter({1.0f, 2.0f});
  AdamW first({{{{"p", a}}, 0.01}}, {}), second({{{{"p", b}}, 0.01}}, {});
  set_gradient(a, {0.5f, -0.25f});
  first.step({});
  b.detach().copy_(a.detach());
  std::vector<at::Tensor> saved;
  first.visit_state([&](const std::string&, at::Tensor& s) { saved.push_back(s.clone()); });
  size_t i = 0;
  second.visit_state([&](const std::string&, at::Tensor& s) { s.copy_(saved[i++]); });
  for (at::Tensor* p : {&a, &b}) set_gradient(*p, {0.1f, 0.2f});
  first.step({});
  second.step({});
  EXPECT_TRUE(a.equal(b));
}

TEST(ClipGradients, ScalesToTheJointNorm) {
  const std::vector<at::Tensor> gradients = {at::tensor({3.0f}), at::tensor({0.0f, 4.0f})};
  EXPECT_NEAR(clip_gradients(gradients, 1).item<double>(), 5, 1e-6);
  EXPECT_NEAR(gradients[0][0].item<double>(), 0.6, 1e-6);
  EXPECT_NEAR(gradients[1][1].item<double>(), 0.8, 1e-6);
  EXPECT_NEAR(clip_gradients(gradients, 2).item<double>(), 1, 1e-5);  // below the limit: untouched
  EXPECT_NEAR(gradients[0][0].item<double>(), 0.6, 1e-6);
}

// An optimizer's weights after one step of each way to clip, and what is left of the gradients.
template <class Clip>
std::pair<at::Tensor, at::Tensor> after_step(const std::string& type, Clip clip) {
  at::Tensor p = parameter({1.0f, -2.0f, 0.5f});
  const auto optimizer = make_optimizer(type, {{{{"p", p}}, 0.1}}, {});
  set_gradient(p, {3.0f, 0.7f, -4.0f});
  UpdateMoment moment;
  clip(*optimizer, moment);
  optimizer->step(moment);
  return {p.detach(), p.grad()};
}

TEST(ClipGradients, AheadOfAnUpdateGivesTheSameWeights) {
  for (const std::string type :
       {"AdamW", "Adam", "Lion", "AdamW8bit", "Lion8bit", "AdEMAMix8bit"}) {
    const auto [before, clipped] = after_step(type, [](Optimizer& optimizer, UpdateMoment&) {
      clip_gradients(optimizer.gradients(), 0.5);
    });
    const auto [on_the_way, left] =
        after_step(type, [](Optimizer& optimizer, UpdateMoment& moment) {
          const at::Tensor norm = clip_gradients_for(optimizer, optimizer.gradients(), 0.5, moment);
          EXPECT_NEAR(norm.item<double>(), std::sqrt(9 + 0.49 + 16), 1e-6);
        });
    EXPECT_TRUE(before.equal(on_the_way)) << type;
    const bool scales = type.starts_with("Adam") || type.ends_with("8bit");
    EXPECT_EQ(left[0].item<float>(), scales ? 3.0f : clipped[0].item<float>()) << type;
  }
}

TEST(ClipGradients, LeavesGradientsThatAreNoNumbersAlone) {
  at::Tensor p = parameter({1.0f, 2.0f});
  AdamW optimizer({{{{"p", p}}, 0.1}}, {});
  set_gradient(p, {std::nanf(""), 5.0f});
  UpdateMoment moment;
  EXPECT_TRUE(
      std::isnan(clip_gradients_for(optimizer, optimizer.gradients(), 1, moment).item<double>()));
  EXPECT_TRUE(std::isnan(clip_gradients(optimizer.gradients(), 1).item<double>()));
  EXPECT_EQ(moment.gradient_scale, 1);
  EXPECT_EQ(p.grad()[1].item<float>(), 5);
}

TEST(GradScaler, SkipsAndHalvesOnOverflowAndGrowsAfter2000Steps) {
  GradScaler scaler(at::kCPU);
  const std::vector<at::Tensor> good = {at::tensor({65536.0f})};
  EXPECT_TRUE(scaler.unscale(good));
  EXPECT_EQ(good[0].item<float>(), 1.0f);
  scaler.update();
  EXPECT_EQ(scaler.good_steps(), 1);
  EXPECT_FALSE(
      scaler.unscale({at::tensor({1.0f}), at::tensor({std::numeric_limits<float>::infinity()})}));
  scaler.update();
  EXPECT_EQ(scaler.current_scale(), 32768);
  scaler.restore(1024, 1999);
  EXPECT_TRUE(scaler.unscale({at::tensor({1.0f})}));
  scaler.update();
  EXPECT_EQ(scaler.current_scale(), 2048);
  EXPECT_EQ(scaler.good_steps(), 0);
}

}  // namespace
}  // namespace sdtune
