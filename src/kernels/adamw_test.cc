#include "kernels/adamw.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/adamw_device.h"
#include "kernels/adamw_update.h"
#include "kernels/load_cuda.h"

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

// What the CUDA kernel computes for each element, on the CPU.
TEST_P(Steps, HaveTheRuleThatCudaHas) {
  const auto [amsgrad, decoupled] = GetParam();
  std::vector<AdamWTensors> tensors = make_tensors(amsgrad);
  AdamWTensors& t = tensors[1];
  const AdamWRule rule = {
      .rate = 1e-2, .weight_decay = 0.1, .decoupled = decoupled, .gradient_scale = 0.3};
  const AdamWNumbers numbers = {.rate = 1e-2,
                                .beta1 = 0.9,
                                .beta2 = 0.999,
                                .rest1 = 0.1F,
                                .rest2 = 0.001F,
                                .keep = decoupled ? 1 - 1e-3F : 1,
                                .decay = decoupled ? 0 : 0.1F,
                                .eps = 1e-8F,
                                .gradient_scale = 0.3F};
  std::vector<AdamWElement> elements;
  for (int64_t i = 0; i < t.weight.numel(); ++i) {
    elements.push_back({t.weight[i].item<float>(), 0, 0, 0});
  }
  for (t.time = 1; t.time <= 5; ++t.time) {
    t.gradient.normal_().div_(static_cast<double>(t.time));
    update_adamw({&t, 1}, rule);
    const AdamWCorrections corrections = adamw_corrections(numbers, static_cast<double>(t.time));
    for (int64_t i = 0; i < t.weight.numel(); ++i) {
      const float gradient = t.gradient[i].item<float>();
      amsgrad ? update_adamw_element<true>(elements[i], gradient, numbers, corrections)
              : update_adamw_element<false>(elements[i], gradient, numbers, corrections);
    }
  }
  for (int64_t i = 0; i < t.weight.numel(); ++i) {
    EXPECT_NEAR(elements[i].weight, t.weight[i].item<float>(), 1e-6);
    EXPECT_NEAR(elements[i].exp_avg, t.exp_avg[i].item<float>(), 1e-7);
    EXPECT_NEAR(elements[i].exp_avg_sq, t.exp_avg_sq[i].item<float>(), 1e-9);
  }
}

// A copy there; of flat tensors one that starts between two vectors.
at::Tensor on_device(const at::Tensor& tensor) {
  if (tensor.dim() != 1) return tensor.to(at::kCUDA);
  const auto options = tensor.options().device(at::kCUDA);
  return at::empty({tensor.numel() + 1}, options).slice(0, 1).copy_(tensor);
}

AdamWLists on_device(const std::vector<AdamWTensors>& tensors) {
  AdamWLists lists;
  const auto add = [](std::vector<at::Tensor>& list, const at::Tensor& tensor) {
    if (tensor.defined()) list.push_back(on_device(tensor));
  };
  for (const AdamWTensors& each : tensors) {
    add(lists.weights, each.weight);
    add(lists.gradients, each.gradient);
    add(lists.exp_avg, each.exp_avg);
    add(lists.exp_avg_sq, each.exp_avg_sq);
    add(lists.max_exp_avg_sq, each.max_exp_avg_sq);
    lists.times.push_back(at::zeros({}, at::TensorOptions(at::kFloat).device(at::kCUDA)));
  }
  return lists;
}

// Also more tensors than one launch takes.
std::vector<AdamWTensors> many_tensors(bool amsgrad) {
  std::vector<AdamWTensors> tensors = make_tensors(amsgrad);
  for (int64_t size = 0; size < 300; ++size) {
    const at::Tensor weight = at::randn({size * 13});
    tensors.push_back({weight, at::zeros_like(weight), at::zeros_like(weight),
                       at::zeros_like(weight), amsgrad ? at::zeros_like(weight) : at::Tensor()});
  }
  return tensors;
}

TEST_P(Steps, OnCudaAsOnTheCpu) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  const auto [amsgrad, decoupled] = GetParam();
  std::vector<AdamWTensors> here = many_tensors(amsgrad);
  const AdamWLists there = on_device(here);
  const AdamWRule rule = {.rate = 1e-2, .weight_decay = 0.1, .decoupled = decoupled};
  AdamWRule scaled = rule;
  for (int64_t time = 1; time <= 5; ++time) {
    scaled.gradient_scale = 1 / static_cast<double>(time);
    for (size_t i = 0; i < here.size(); ++i) {
      here[i].time = time;
      there.gradients[i].copy_(here[i].gradient.normal_());
    }
    update_adamw(here, scaled);
    update_adamw_on_device(there, rule, at::full({}, scaled.gradient_scale, at::kFloat).cuda());
  }
  for (size_t i = 0; i < here.size(); ++i) {
    EXPECT_TRUE(there.weights[i].cpu().allclose(here[i].weight, 1e-5, 1e-6));
    EXPECT_TRUE(there.exp_avg[i].cpu().allclose(here[i].exp_avg, 1e-5, 1e-7));
    EXPECT_TRUE(there.exp_avg_sq[i].cpu().allclose(here[i].exp_avg_sq, 1e-5, 1e-9));
    EXPECT_EQ(there.times[i].item<float>(), 5);
  }
}

TEST(AdamWKernel, ChangesNothingOnCudaWhereTheScaleIsNotFinite) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  std::vector<AdamWTensors> here = make_tensors(false);
  for (AdamWTensors& each : here) each.gradient.normal_();
  const AdamWLists there = on_device(here);
  for (const double bad : {std::nan(""), HUGE_VAL}) {
    update_adamw_on_device(there, {}, at::full({}, bad, at::kFloat).cuda());
  }
  for (size_t i = 0; i < here.size(); ++i) {
    EXPECT_TRUE(there.weights[i].cpu().equal(here[i].weight));
    EXPECT_EQ(there.exp_avg[i].abs().max().item<float>(), 0);
    EXPECT_EQ(there.times[i].item<float>(), 0);
  }
}

}  // namespace
}  // namespace sdtune
