#include "kernels/adamw.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <vector>

namespace sdtune {
namespace {

std::vector<AdamWTensors> make_tensors(bool amsgrad) {
  at::manual_seed(3);
  std::vector<at::Tensor> weights = {
      at::randn({}), at::randn({33}), at::randn({300, 701}),
      at::randn({8, 4, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast)};
  std::vector<AdamWTensors> tensors;
  for (const at::Tensor& weight : weights) {
    tensors.push_back({weight, at::zeros_like(weight), at::zeros_like(weight),
                       at::zeros_like(weight), amsgrad ? at::zeros_like(weight) : at::Tensor()});
  }
  return tensors;
}

std::vector<AdamWTensors> copy_of(const std::vector<AdamWTensors>& tensors) {
  std::vector<AdamWTensors> copies = tensors;
  for (AdamWTensors& each : copies) {
    for (at::Tensor* tensor :
         {&each.weight, &each.gradient, &each.exp_avg, &each.exp_avg_sq, &each.max_exp_avg_sq}) {
      if (tensor->defined()) *tensor = tensor->clone();
    }
  }
  return copies;
}

// torch's fused kernel, on gradients that were multiplied before.
void update_by_torch(const std::vector<AdamWTensors>& tensors, const AdamWRule& rule) {
  for (const AdamWTensors& each : tensors) {
    std::vector<at::Tensor> largest;
    if (each.max_exp_avg_sq.defined()) largest.push_back(each.max_exp_avg_sq);
    const at::Tensor gradient = each.gradient * rule.gradient_scale;
    const at::Tensor time = at::scalar_tensor(static_cast<double>(each.time), at::kFloat);
    const auto run = [&](auto fused) {
      fused({each.weight}, {gradient}, {each.exp_avg}, {each.exp_avg_sq}, largest, {time},
            rule.rate, rule.beta1, rule.beta2, rule.weight_decay, rule.eps, !largest.empty(), false,
            std::nullopt, std::nullopt);
    };
    using Fused =
        void (*)(at::TensorList, at::TensorList, at::TensorList, at::TensorList, at::TensorList,
                 at::TensorList, double, double, double, double, double, bool, bool,
                 const std::optional<at::Tensor>&, const std::optional<at::Tensor>&);
    run(rule.decoupled ? static_cast<Fused>(at::_fused_adamw_)
                       : static_cast<Fused>(at::_fused_adam_));
  }
}

class Steps : public testing::TestWithParam<std::tuple<bool, bool>> {};

TEST_P(Steps, FollowTorchs) {
  const auto [amsgrad, decoupled] = GetParam();
  AdamWRule rule = {.rate = 1e-2, .weight_decay = 0.1, .decoupled = decoupled};
  std::vector<AdamWTensors> ours = make_tensors(amsgrad), theirs = copy_of(ours);
  for (int64_t time = 1; time <= 20; ++time) {
    rule.gradient_scale = time % 2 == 0 ? 0.3 : 1.0;
    for (size_t i = 0; i < ours.size(); ++i) {
      // Large at first, so that amsgrad has something to remember.
      ours[i].gradient.copy_(at::randn_like(ours[i].gradient) / static_cast<double>(time));
      theirs[i].gradient.copy_(ours[i].gradient);
      ours[i].time = theirs[i].time = time;
    }
    update_adamw(ours, rule);
    update_by_torch(theirs, rule);
  }
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_TRUE(ours[i].weight.allclose(theirs[i].weight, 1e-5, 1e-6));
    EXPECT_TRUE(ours[i].exp_avg.allclose(theirs[i].exp_avg, 1e-5, 1e-7));
    EXPECT_TRUE(ours[i].exp_avg_sq.allclose(theirs[i].exp_avg_sq, 1e-5, 1e-9));
    EXPECT_TRUE(ours[i].gradient.equal(theirs[i].gradient));
  }
}

INSTANTIATE_TEST_SUITE_P(AdamWKernel, Steps, testing::Combine(testing::Bool(), testing::Bool()));

TEST(AdamWKernel, HasTheSameBitsForAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  std::vector<AdamWTensors> one = make_tensors(false);
  for (AdamWTensors& each : one) each.gradient.normal_();
  std::vector<AdamWTensors> many = copy_of(one);
  at::set_num_threads(1);
  update_adamw(one, {});
  at::set_num_threads(5);
  update_adamw(many, {});
  at::set_num_threads(threads);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(one[i].weight.equal(many[i].weight));
}

TEST(AdamWKernel, RefusesWhatDoesNotFit) {
  const at::Tensor x = at::zeros({4, 4});
  for (const at::Tensor& bad : {at::zeros({4, 3}), at::zeros({4, 4}, at::kBFloat16), x.t()}) {
    EXPECT_THROW(update_adamw(std::vector<AdamWTensors>{{x, bad, x, x, {}}}, {}), c10::Error);
  }
}

}  // namespace
}  // namespace sdtune
