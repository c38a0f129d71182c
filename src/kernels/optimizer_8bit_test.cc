#include "kernels/optimizer_8bit.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/load_cuda.h"
#include "kernels/stochastic_round.h"

namespace sdtune {
namespace {

at::Tensor normal(at::IntArrayRef shape, uint64_t seed = 1) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed));
}

at::Tensor code_values(bool is_signed) {
  const auto& values = dynamic_code(is_signed).values;
  return at::tensor(at::ArrayRef<float>(values.data(), values.size()));
}

// The paper's algorithm in plain torch: normalized by block, then the nearest of all 256 values.
Quantized8bit quantize_by_search(const at::Tensor& x, bool is_signed) {
  const at::Tensor flat = x.flatten();
  const int64_t blocks = blocks_8bit(flat.numel());
  const at::Tensor padded =
      at::constant_pad_nd(flat, {0, blocks * kBlock8bit - flat.numel()}).view({blocks, kBlock8bit});
  const at::Tensor absmax = padded.abs().amax(1);
  const at::Tensor inverse = at::where(absmax == 0, 0.0, 1 / absmax);
  const at::Tensor distance =
      ((padded * inverse.unsqueeze(1)).unsqueeze(-1).to(at::kDouble) - code_values(is_signed))
          .abs();
  const at::Tensor codes = distance.argmin(-1).flatten().slice(0, 0, flat.numel());
  return {codes.to(at::kByte).view(x.sizes()), absmax};
}

at::Tensor sample(at::IntArrayRef shape, bool is_signed) {
  const at::Tensor x = normal(shape);
  return is_signed ? x * x * x : x * x;  // magnitudes over many decades
}

TEST(DynamicCode, AscendsFromDecadeToDecade) {
  for (const bool is_signed : {true, false}) {
    const DynamicCode& code = dynamic_code(is_signed);
    EXPECT_TRUE(std::is_sorted(code.values.begin(), code.values.end(), std::less_equal<>()));
    EXPECT_EQ(code.values[code.zero], 0);
    EXPECT_EQ(code.values[255], 1);
  }
  EXPECT_FLOAT_EQ(dynamic_code(true).values[128], 5.5e-7F);
  EXPECT_FLOAT_EQ(dynamic_code(true).values[0], -0.99296875F);
  EXPECT_FLOAT_EQ(dynamic_code(false).values[1], 3.25e-7F);
  EXPECT_FLOAT_EQ(dynamic_code(false).values[254], 0.996484375F);
}

TEST(Quantize8bit, FindsTheNearestValue) {
  for (const bool is_signed : {true, false}) {
    for (const int64_t count : {1, 255, 256, 257, 5000, 100000}) {
      const at::Tensor x = sample({count}, is_signed);
      const Quantized8bit found = quantize_8bit(x, is_signed);
      const Quantized8bit wanted = quantize_by_search(x, is_signed);
      EXPECT_TRUE(found.codes.equal(wanted.codes)) << count;
      EXPECT_TRUE(found.absmax.equal(wanted.absmax)) << count;
    }
  }
}

// Both neighbours of every border between two values, where a wrong table would show.
TEST(Quantize8bit, KeepsToTheBordersBetweenValues) {
  for (const bool is_signed : {true, false}) {
    const auto& values = dynamic_code(is_signed).values;
    for (int i = 0; i < 255; ++i) {
      const double middle = (static_cast<double>(values[i]) + values[i + 1]) / 2;
      auto below = static_cast<float>(middle);
      if (below >= middle) below = std::nextafter(below, -2.0F);
      auto above = static_cast<float>(middle);
      if (above <= middle) above = std::nextafter(above, 2.0F);
      const Quantized8bit found = quantize_8bit(at::tensor({1.0F, below, above}), is_signed);
      EXPECT_EQ(found.codes[1].item<int>(), i);
      EXPECT_EQ(found.codes[2].item<int>(), i + 1);
    }
  }
}

TEST(Quantize8bit, ValuesOfTheCodeSurvive) {
  for (const bool is_signed : {true, false}) {
    const at::Tensor values = code_values(is_signed);
    const Quantized8bit state = quantize_8bit(values, is_signed);
    EXPECT_TRUE(state.codes.equal(at::arange(256).to(at::kByte)));
    EXPECT_TRUE(dequantize_8bit(state, is_signed).equal(values));
  }
}

TEST(Quantize8bit, ZerosStayZerosAndNotANumberIsKept) {
  for (const bool is_signed : {true, false}) {
    const at::Tensor zeros = at::zeros({3, 100});
    EXPECT_TRUE(dequantize_8bit(quantize_8bit(zeros, is_signed), is_signed).equal(zeros));
    EXPECT_TRUE(dequantize_8bit(zeros_8bit(zeros, is_signed), is_signed).equal(zeros));
  }
  for (const float odd : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    at::Tensor x = at::ones({600});
    x[300].fill_(odd);
    const at::Tensor back = dequantize_8bit(quantize_8bit(x, true), true);
    EXPECT_FALSE(back.slice(0, 256, 512).isfinite().any().item<bool>() &&
                 back[300].isfinite().item<bool>());
    EXPECT_TRUE(back.slice(0, 0, 256).equal(at::ones({256})));
    EXPECT_TRUE(back.slice(0, 512).equal(at::ones({88})));
  }
}

TEST(Quantize8bit, RefusesOtherTypes) {
  EXPECT_THROW(quantize_8bit(at::ones({4}, at::kHalf), true), c10::Error);
  EXPECT_THROW(dequantize_8bit({at::zeros({300}, at::kByte), at::ones({1})}, true), c10::Error);
}

std::vector<Quantized8bit> fresh_states(Rule8bit rule, const at::Tensor& like) {
  std::vector<Quantized8bit> states;
  for (int s = 0; s < states_of(rule); ++s) {
    states.push_back(zeros_8bit(like, state_is_signed(rule, s)));
  }
  return states;
}

// The rules from their papers in plain torch, on fp32 states.
void update_by_formula(at::Tensor& w, const at::Tensor& g, std::vector<at::Tensor>& s,
                       const Update8bit& u) {
  const auto time = static_cast<double>(u.time);
  const double first = 1 - std::pow(u.beta1, time), second = 1 - std::pow(u.beta2, time);
  switch (u.rule) {
    case Rule8bit::kAdam:
      s[0] = u.beta1 * s[0] + (1 - u.beta1) * g;
      s[1] = u.beta2 * s[1] + (1 - u.beta2) * g * g;
      w = w * (1 - u.rate * u.weight_decay) -
          u.rate * (s[0] / first) / ((s[1] / second).sqrt() + u.eps);
      break;
    case Rule8bit::kLion:
      w = w * (1 - u.rate * u.weight_decay) - u.rate * (u.beta1 * s[0] + (1 - u.beta1) * g).sign();
      s[0] = u.beta2 * s[0] + (1 - u.beta2) * g;
      break;
    case Rule8bit::kMomentum: {
      const at::Tensor gradient = g + u.weight_decay * w;
      s[0] = u.beta1 * s[0] + gradient;
      w = w - u.rate * (u.nesterov ? gradient + u.beta1 * s[0] : s[0]);
      break;
    }
    case Rule8bit::kAdEMAMix:
      s[0] = u.beta1 * s[0] + (1 - u.beta1) * g;
      s[1] = u.beta3 * s[1] + (1 - u.beta3) * g;
      s[2] = u.beta2 * s[2] + (1 - u.beta2) * g * g;
      w = w * (1 - u.rate * u.weight_decay) -
          u.rate * (s[0] / first + u.alpha * s[1]) / ((s[2] / second).sqrt() + u.eps);
      break;
  }
}

class Rules8bit : public testing::TestWithParam<Update8bit> {};

// Each step starts from the very states that the codes stand for, so that only rounding is left.
TEST_P(Rules8bit, FollowTheFormulaStepByStep) {
  Update8bit update = GetParam();
  for (const int64_t count : {7, 256, 5000, 70001}) {
    at::Tensor weight = normal({count}, 2) * 0.1;
    std::vector<Quantized8bit> states = fresh_states(update.rule, weight);
    for (update.time = 1; update.time <= 5; ++update.time) {
      const at::Tensor grad = normal({count}, 10 + update.time) * 0.01;
      at::Tensor wanted = weight.to(at::kDouble);
      std::vector<at::Tensor> values;
      for (size_t s = 0; s < states.size(); ++s) {
        const bool is_signed = state_is_signed(update.rule, static_cast<int>(s));
        values.push_back(dequantize_8bit(states[s], is_signed).to(at::kDouble));
      }
      update_by_formula(wanted, grad.to(at::kDouble), values, update);
      update_8bit(weight, grad, states, update);
      EXPECT_LT((weight - wanted).abs().max().item<double>(), 1e-6);
      for (size_t s = 0; s < states.size(); ++s) {
        const bool is_signed = state_is_signed(update.rule, static_cast<int>(s));
        const Quantized8bit nearest = quantize_8bit(values[s].to(at::kFloat), is_signed);
        const at::Tensor steps = (states[s].codes.to(at::kInt) - nearest.codes.to(at::kInt)).abs();
        EXPECT_LE(steps.max().item<int>(), 1);  // where rounding falls on a border
        EXPECT_LE(steps.sum().item<int64_t>(), 1 + count / 2000);
      }
    }
  }
}

TEST_P(Rules8bit, FollowTheFormulaOnPlainStates) {
  Update8bit update = GetParam();
  at::Tensor weight = normal({4000}, 2) * 0.1;
  at::Tensor wanted = weight.to(at::kDouble);
  std::vector<Quantized8bit> states(states_of(update.rule));
  for (Quantized8bit& state : states) state.codes = at::zeros({4000});
  std::vector<at::Tensor> values(states.size(), at::zeros({4000}, at::kDouble));
  for (update.time = 1; update.time <= 5; ++update.time) {
    const at::Tensor grad = normal({4000}, 10 + update.time) * 0.01;
    update_by_formula(wanted, grad.to(at::kDouble), values, update);
    update_8bit(weight, grad, states, update);
    EXPECT_LT((weight - wanted).abs().max().item<double>(), 2e-6);
  }
  EXPECT_LT((states[0].codes - values[0]).abs().max().item<double>(), 1e-6);
}

// Over several of rounding's blocks and a rest.
TEST_P(Rules8bit, StoreBf16WeightsAsStochasticRoundingDoes) {
  Update8bit update = GetParam();
  for (const int64_t count : {5, 1000, 140003}) {
    at::Tensor narrow = normal({count}, 1).to(at::kBFloat16);
    at::Tensor wide = narrow.clone();
    std::vector<Quantized8bit> states = fresh_states(update.rule, narrow);
    std::vector<Quantized8bit> wide_states = fresh_states(update.rule, narrow);
    for (update.time = 1; update.time <= 3; ++update.time) {
      update.rounding_key = 0x9E3779B97F4A7C15U * static_cast<uint64_t>(update.time);
      const at::Tensor grad = (normal({count}, 10 + update.time) * 0.01).to(at::kBFloat16);
      update_8bit(narrow, grad, states, update);
      at::Tensor weight = wide.to(at::kFloat);
      update_8bit(weight, grad.to(at::kFloat), wide_states, update);
      store_rounded(wide, weight, update.rounding_key);
    }
    EXPECT_TRUE(narrow.equal(wide)) << count;
    EXPECT_TRUE(states[0].codes.equal(wide_states[0].codes)) << count;
  }
}

TEST_P(Rules8bit, GiveTheSameBitsForAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  std::vector<at::Tensor> results;
  for (const int threads : {1, 2, 5}) {
    at::set_num_threads(threads);
    at::Tensor weight = normal({100003});
    std::vector<Quantized8bit> states = fresh_states(GetParam().rule, weight);
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      update_8bit(weight, normal({100003}, seed), states, GetParam());
    }
    results.push_back(weight);
    results.push_back(states[0].codes);
  }
  at::set_num_threads(before);
  for (size_t i = 2; i < results.size(); ++i) EXPECT_TRUE(results[i].equal(results[i % 2]));
}

// A weight with the states and gradients of its updates.
struct Trained {
  at::Tensor weight, grad;
  std::vector<Quantized8bit> states;

  Trained(Rule8bit rule, at::Tensor from, at::Tensor gradient)
      : weight(std::move(from)), grad(std::move(gradient)), states(fresh_states(rule, weight)) {}

  void update(const Update8bit& update, const at::Tensor& scale = {}) {
    update_8bit(weight, grad, states, update, scale);
  }
  void expect_equals(const Trained& other) const {
    EXPECT_TRUE(weight.equal(other.weight)) << weight.toString();
    for (size_t s = 0; s < states.size(); ++s) {
      EXPECT_TRUE(states[s].codes.equal(other.states[s].codes)) << s;
      EXPECT_TRUE(states[s].absmax.equal(other.states[s].absmax)) << s;
    }
  }
};

// As a contiguous weight with the same values, from which it only differs in its layout.
void expect_any_layout_to_update_alike(Update8bit update, const at::Device& device) {
  using Layout = at::Tensor (*)(const at::Tensor&);
  const Layout contiguous = [](const at::Tensor& t) { return t.clone(); };
  const Layout channels_last = [](const at::Tensor& t) {
    return t.clone(at::MemoryFormat::ChannelsLast);
  };
  const Layout turned = [](const at::Tensor& t) {
    return t.transpose(0, 3).contiguous().transpose(0, 3);
  };
  update.rounding_key = 0x9E3779B97F4A7C15U;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const std::vector<int64_t>& shape :
         std::vector<std::vector<int64_t>>{{20, 70, 3, 3}, {3, 300, 1, 1}, {9, 1, 5, 7}}) {
      const at::Tensor weight = normal(shape).to(device, type);
      const at::Tensor grad = normal(shape, 2).to(device, type);
      Trained plain(update.rule, contiguous(weight), grad);
      plain.update(update);
      for (const Layout of_weight : {channels_last, turned}) {
        for (const Layout of_grad : {contiguous, channels_last, turned}) {
          Trained other(update.rule, of_weight(weight), of_grad(grad));
          other.update(update);
          other.expect_equals(plain);
        }
      }
    }
  }
}

TEST_P(Rules8bit, TakeWeightsInAnyLayout) {
  expect_any_layout_to_update_alike(GetParam(), at::kCPU);
}

TEST_P(Rules8bit, TakeWeightsInAnyLayoutOnCuda) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  expect_any_layout_to_update_alike(GetParam(), at::kCUDA);
}

at::Tensor single(double value, const at::Device& device) {
  return at::full({}, value, at::TensorOptions(at::kFloat).device(device));
}

// As gradients that were scaled before; bf16 ones have no room for that, so fp32 ones stand in.
void expect_scaled_on_the_way(const Update8bit& update, const at::Device& device) {
  for (const double host : {1.0, 0.37}) {
    for (const double there : {1.0, 0.013}) {
      const at::Tensor weight = normal({5003}).to(device), grad = normal({5003}, 2).to(device);
      const float factor = static_cast<float>(host) * static_cast<float>(there);
      Trained scaled(update.rule, weight.clone(), grad), wanted(update.rule, weight, grad * factor);
      Update8bit with = update;
      with.gradient_scale = host;
      for (int i = 0; i < 2; ++i) {
        scaled.update(with, single(there, device));
        wanted.update(update);
      }
      scaled.expect_equals(wanted);
    }
  }
}

void expect_narrow_scaled_on_the_way(Update8bit update, const at::Device& device) {
  const at::Tensor weight = normal({5003}).to(device, at::kBFloat16);
  const at::Tensor grad = normal({5003}, 2).to(device, at::kBFloat16);
  Trained scaled(update.rule, weight.clone(), grad);
  Trained wanted(update.rule, weight.to(at::kFloat), grad.to(at::kFloat) * 0.37F);
  update.rounding_key = 5;
  wanted.update(update);
  update.gradient_scale = 0.37;
  scaled.update(update);
  store_rounded(weight, wanted.weight, update.rounding_key);
  wanted.weight = weight;
  scaled.expect_equals(wanted);
}

void expect_no_change_for(Update8bit update, double scale, const at::Device& device) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor weight = normal({700}).to(device, type),
                     grad = normal({700}, 2).to(device, type);
    Trained trained(update.rule, weight, grad), fresh(update.rule, weight.clone(), grad);
    trained.update(update, single(scale, device));
    trained.expect_equals(fresh);
  }
}

TEST_P(Rules8bit, ScaleGradientsOnTheWay) {
  expect_scaled_on_the_way(GetParam(), at::kCPU);
  expect_narrow_scaled_on_the_way(GetParam(), at::kCPU);
}

TEST_P(Rules8bit, ScaleGradientsOnTheWayOnCuda) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  expect_scaled_on_the_way(GetParam(), at::kCUDA);
  expect_narrow_scaled_on_the_way(GetParam(), at::kCUDA);
}

TEST_P(Rules8bit, ChangeNothingWhereTheScaleIsNotFinite) {
  for (const double scale : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    expect_no_change_for(GetParam(), scale, at::kCPU);
    if (load_cuda()) expect_no_change_for(GetParam(), scale, at::kCUDA);
  }
}

TEST_P(Rules8bit, RefusesWhatDoesNotFit) {
  at::Tensor weight = normal({300});
  std::vector<Quantized8bit> states = fresh_states(GetParam().rule, weight);
  EXPECT_THROW(update_8bit(weight, normal({299}), states, GetParam()), c10::Error);
  EXPECT_THROW(update_8bit(weight, normal({300}).to(at::kBFloat16), states, GetParam()),
               c10::Error);
  for (const at::Tensor& scale : {at::ones({2}), at::ones({}, at::kDouble)}) {
    EXPECT_THROW(update_8bit(weight, normal({300}), states, GetParam(), scale), c10::Error);
  }
  states.back().absmax = at::zeros({1});
  EXPECT_THROW(update_8bit(weight, normal({300}), states, GetParam()), c10::Error);
  states.pop_back();
  EXPECT_THROW(update_8bit(weight, normal({300}), states, GetParam()), c10::Error);
}

TEST_P(Rules8bit, OnCudaAsOnTheCpu) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  at::Tensor weight = normal({70001});
  at::Tensor there = weight.cuda();
  std::vector<Quantized8bit> states = fresh_states(GetParam().rule, weight);
  std::vector<Quantized8bit> states_there = fresh_states(GetParam().rule, there);
  const at::Tensor grad = normal({70001}, 2);
  update_8bit(weight, grad, states, GetParam());
  update_8bit(there, grad.cuda(), states_there, GetParam());
  EXPECT_LT((weight - there.cpu()).abs().max().item<double>(), 1e-6);
  EXPECT_LT((states[0].codes != states_there[0].codes.cpu()).sum().item<int64_t>(), 10);
}

INSTANTIATE_TEST_SUITE_P(
    All, Rules8bit,
    testing::Values(Update8bit{.rule = Rule8bit::kAdam, .weight_decay = 0.1},
                    Update8bit{.rule = Rule8bit::kLion, .beta2 = 0.99, .weight_decay = 0.1},
                    Update8bit{.rule = Rule8bit::kMomentum, .weight_decay = 0.1},
                    Update8bit{.rule = Rule8bit::kMomentum, .nesterov = true},
                    Update8bit{.rule = Rule8bit::kAdEMAMix, .weight_decay = 0.1}));

}  // namespace
}  // namespace sdtune
