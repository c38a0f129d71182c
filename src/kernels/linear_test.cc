#include "kernels/linear.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <random>

#include "base/error.h"
#include "kernels/gemm.h"

namespace sdtune {
namespace {

constexpr LinearWay kByGemm = LinearWay::kGemm;

struct Case {
  at::Tensor x, weight, bias;
};

// `shape`: of x, whose last size is the layer's input. Weights as layers have them.
Case random_case(at::IntArrayRef shape, int64_t out, uint64_t seed) {
  auto random = at::make_generator<at::CPUGeneratorImpl>(seed);
  const int64_t in = shape.back();
  return {at::randn(shape, random),
          at::randn({out, in}, random) / std::sqrt(static_cast<double>(in)),
          at::randn({out}, random)};
}

struct Products {
  at::Tensor result, x, weight, bias;  // the result, then gradients
};

Products products(const Case& given, const at::Tensor& grad, LinearWay way) {
  const auto leaf = [](const at::Tensor& t) {
    return t.defined() ? t.detach().set_requires_grad(true) : t;
  };
  const at::Tensor x = leaf(given.x), weight = leaf(given.weight), bias = leaf(given.bias);
  const at::Tensor result = linear({x, weight, bias}, way);
  result.backward(grad);
  return {result.detach(), x.grad(), weight.grad(), bias.defined() ? bias.grad() : at::Tensor()};
}

// The largest difference, as a part of the largest value.
double distance(const at::Tensor& actual, const at::Tensor& expected) {
  EXPECT_EQ(actual.sizes(), expected.sizes());
  EXPECT_EQ(actual.scalar_type(), at::kFloat);
  const at::Tensor found = actual.to(at::kDouble);
  return ((found - expected).abs().max() / expected.abs().max().clamp_min(1e-3)).item<double>();
}

at::Tensor gradient_for(const Case& given, uint64_t seed) {
  auto random = at::make_generator<at::CPUGeneratorImpl>(seed);
  return at::randn(at::linear(given.x, given.weight).sizes(), random);
}

// Against torch in double.
void expect_right(const Case& given, const at::Tensor& grad, LinearWay way) {
  const auto wide = [](const at::Tensor& t) { return t.defined() ? t.to(at::kDouble) : t; };
  const Products found = products(given, grad, way);
  const Products wanted = products({wide(given.x), wide(given.weight), wide(given.bias)},
                                   wide(grad), LinearWay::kTorch);
  EXPECT_LE(distance(found.result, wanted.result), 4e-6);
  EXPECT_LE(distance(found.x, wanted.x), 4e-6);
  EXPECT_LE(distance(found.weight, wanted.weight), 4e-6);
  if (given.bias.defined()) {
    EXPECT_LE(distance(found.bias, wanted.bias), 4e-6);
  }
}

TEST(Linear, ByGemmEqualsTorch) {
  std::mt19937_64 random(1);
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  for (uint64_t i = 0; i < 100; ++i) {
    const std::vector<int64_t> shape = {draw(1, 3), draw(1, 60), draw(1, 90)};
    const int64_t skipped = draw(0, 2);
    Case given = random_case(at::IntArrayRef(shape).slice(skipped), draw(1, 90), i);
    if (i % 3 == 0) given.bias = at::Tensor();
    SCOPED_TRACE(testing::PrintToString(given.x.sizes().vec()) + " to " +
                 std::to_string(given.weight.size(0)));
    expect_right(given, gradient_for(given, i + 1000), kByGemm);
  }
}

TEST(Linear, TakesAnyStridesOfInputAndGradient) {
  const Case plain = random_case({2, 12, 12}, 7, 1);
  const at::Tensor grad = gradient_for(plain, 2);
  for (const at::Tensor& x :
       {plain.x.transpose(1, 2), plain.x.flip({0}), plain.x.slice(1, 0, 1).expand({2, 12, 12}),
        at::cat({plain.x, plain.x}, 2).slice(2, 0, 24, 2),
        at::cat({plain.x, plain.x}, 2).slice(2, 5, 17), plain.x.transpose(0, 1)}) {
    const Case given = {x, plain.weight, plain.bias};
    const at::Tensor fits = gradient_for(given, 3);
    expect_right(given, fits, kByGemm);
    expect_right(given, at::cat({fits, fits}, 2).slice(2, 0, 14, 2), kByGemm);
    expect_right(given, fits.slice(2, 0, 1).expand(fits.sizes()), kByGemm);
  }
  Case given = plain;
  given.weight = at::randn({12, 7}).t();
  expect_right(given, grad, kByGemm);
  given.bias = at::randn({14}).slice(0, 0, 14, 2);
  expect_right({plain.x, plain.weight, given.bias}, grad, kByGemm);
}

TEST(Linear, ComputesOnlyTheGradientsThatAreAskedFor) {
  const Case given = random_case({2, 9, 16}, 5, 7);
  const at::Tensor grad = gradient_for(given, 8);
  const Products all = products(given, grad, kByGemm);
  for (int asked = 1; asked < 8; ++asked) {
    const at::Tensor x = given.x.detach().set_requires_grad((asked & 1) != 0);
    const at::Tensor weight = given.weight.detach().set_requires_grad((asked & 2) != 0);
    const at::Tensor bias = given.bias.detach().set_requires_grad((asked & 4) != 0);
    linear({x, weight, bias}, kByGemm).backward(grad);
    for (const auto& [leaf, wanted] :
         {std::pair(x, all.x), {weight, all.weight}, {bias, all.bias}}) {
      ASSERT_EQ(leaf.grad().defined(), leaf.requires_grad()) << asked;
      if (!leaf.requires_grad()) continue;
      EXPECT_TRUE(at::equal(leaf.grad(), wanted));
    }
  }
}

TEST(Linear, AddsUpGradientsOfSeveralUses) {
  const Case given = random_case({3, 16}, 5, 9);
  const at::Tensor weight = given.weight.set_requires_grad(true);
  const at::Tensor grad = gradient_for(given, 10).detach();
  linear({given.x, weight, given.bias}, kByGemm).backward(grad);
  const at::Tensor once = weight.grad().clone();
  const at::Tensor again = linear({given.x, weight, given.bias}, kByGemm);
  again.backward(grad);
  EXPECT_TRUE(at::equal(weight.grad(), 2 * once));
}

TEST(Linear, RecordsNothingWithoutAGradient) {
  const Case given = random_case({3, 16}, 5, 10);
  EXPECT_FALSE(linear({given.x, given.weight, given.bias}, kByGemm).requires_grad());
  const at::Tensor weight = given.weight.set_requires_grad(true);
  const at::NoGradGuard frozen;
  EXPECT_FALSE(linear({given.x, weight, given.bias}, kByGemm).requires_grad());
}

TEST(Linear, RefusesASecondDerivative) {
  const Case given = random_case({3, 16}, 5, 11);
  const at::Tensor x = given.x.set_requires_grad(true);
  const at::Tensor result = linear({x, given.weight, given.bias}, kByGemm);
  try {
    result.pow(2).sum().backward({}, /*keep_graph=*/true, /*create_graph=*/true);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "this linear layer has no second derivative");
  }
}

TEST(Linear, SeesWhatWasChangedBeforeTheBackwardPass) {
  const Case given = random_case({3, 16}, 5, 12);
  const at::Tensor weight = given.weight.set_requires_grad(true);
  const at::Tensor x = given.x.clone();
  const at::Tensor result = linear({x, weight, given.bias}, kByGemm);
  x.add_(1);
  EXPECT_THROW(result.sum().backward(), c10::Error);
}

TEST(Linear, LeavesOtherTypesAndDevicesToTorch) {
  const Case given = random_case({2, 9, 16}, 5, 15);
  for (const auto type : {at::kDouble, at::kBFloat16}) {
    const Case cast = {given.x.to(type), given.weight.to(type), given.bias.to(type)};
    EXPECT_TRUE(at::equal(linear({cast.x, cast.weight, cast.bias}, kByGemm),
                          at::linear(cast.x, cast.weight, cast.bias)));
  }
  const at::Tensor none = linear(
      {given.x.to(at::kMeta), given.weight.to(at::kMeta), given.bias.to(at::kMeta)}, kByGemm);
  EXPECT_EQ(none.sizes(), (at::IntArrayRef{2, 9, 5}));
  EXPECT_TRUE(none.is_meta());
  EXPECT_THROW(linear({given.x, given.weight.to(at::kDouble), given.bias}, kByGemm), c10::Error);
  EXPECT_THROW(linear({given.x.slice(2, 0, 8), given.weight, given.bias}, kByGemm), c10::Error);
}

TEST(Linear, TakesTheWayThatWasMeasured) {
  const Case many = random_case({2, 8, 16}, 5, 17), few = random_case({3, 5, 16}, 5, 18);
  const LinearWay wanted = gemm_is_fast() ? LinearWay::kGemm : LinearWay::kTorch;
  EXPECT_EQ(fastest_linear_way({many.x, many.weight, many.bias}), wanted);
  EXPECT_EQ(fastest_linear_way({few.x, few.weight, few.bias}), LinearWay::kTorch);
  const at::Tensor x = many.x.to(at::kDouble), weight = many.weight.to(at::kDouble), none;
  EXPECT_EQ(fastest_linear_way({x, weight, none}), LinearWay::kTorch);
}

TEST(Linear, TakesEmptyBatches) {
  const Case given = random_case({2, 9, 16}, 5, 16);
  const at::Tensor weight = given.weight.set_requires_grad(true);
  const at::Tensor result = linear({given.x.slice(0, 0, 0), weight, given.bias}, kByGemm);
  EXPECT_EQ(result.sizes(), (at::IntArrayRef{0, 9, 5}));
  result.sum().backward();
  EXPECT_TRUE(at::equal(weight.grad(), at::zeros_like(weight)));
}

}  // namespace
}  // namespace sdtune
