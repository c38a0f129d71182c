#include "kernels/layer_norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "base/error.h"

namespace sdtune {
namespace {

constexpr double kEps = 1e-5;

struct Tensors {
  at::Tensor x, weight, bias, grad;

  Tensors to(at::ScalarType type) const {
    return {x.to(type), weight.to(type), bias.to(type), grad.to(type)};
  }
};

Tensors make_tensors(const std::vector<int64_t>& shape, at::ScalarType type, double mean = 0) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(5);
  return {(at::randn(shape, generator) * 2 + mean).to(type), at::randn({shape.back()}, generator),
          at::randn({shape.back()}, generator), at::randn(shape, generator).to(type)};
}

struct Results {
  at::Tensor out, x, weight, bias;
};

template <class Function>
Results run(const Tensors& tensors, Function function) {
  const at::Tensor x = tensors.x.detach().requires_grad_(true);
  const at::Tensor weight = tensors.weight.detach().requires_grad_(true);
  const at::Tensor bias = tensors.bias.detach().requires_grad_(true);
  const at::Tensor out = function(x, weight, bias);
  const auto grads = torch::autograd::grad({out}, {x, weight, bias}, {tensors.grad});
  return {out.detach(), grads[0], grads[1], grads[2]};
}

Results ours(const Tensors& tensors) {
  return run(tensors, [](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    EXPECT_TRUE(takes_layer_norm({x, weight, bias, kEps}));
    return layer_norm({x, weight, bias, kEps});
  });
}

Results torchs(const Tensors& tensors) {
  return run(tensors, [](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    return at::layer_norm(x, {x.size(-1)}, weight, bias, kEps);
  });
}

double distance(const at::Tensor& found, const at::Tensor& wanted) {
  const at::Tensor exact = wanted.to(at::kDouble);
  return (found.to(at::kDouble) - exact).abs().max().item<double>() /
         std::max(1.0, exact.abs().max().item<double>());
}

void expect_near(const Results& found, const Results& wanted, double tolerance) {
  EXPECT_LT(distance(found.out, wanted.out), tolerance);
  EXPECT_LT(distance(found.x, wanted.x), tolerance);
  EXPECT_LT(distance(found.weight, wanted.weight), tolerance);
  EXPECT_LT(distance(found.bias, wanted.bias), tolerance);
}

const std::vector<int64_t> kShapes[] = {{2, 77, 64}, {1, 1000, 40}, {3, 5, 33},   {7, 16},
                                        {50},        {1, 4096, 24}, {2, 3, 4, 15}};

TEST(LayerNorm, HasTheExactResultAndGradients) {
  for (const auto& shape : kShapes) {
    const Tensors single = make_tensors(shape, at::kFloat);
    expect_near(ours(single), torchs(single.to(at::kDouble)), 3e-6);
    const Tensors far = make_tensors(shape, at::kFloat, 100);
    EXPECT_LT(distance(ours(far).out, torchs(far.to(at::kDouble)).out), 5e-5);
  }
}

// x and its gradient of bf16; the parameters of either type, and their gradients of theirs.
TEST(LayerNorm, RoundsOnceToBf16) {
  for (const auto& shape : kShapes) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      Tensors half = make_tensors(shape, at::kBFloat16);
      half.weight = half.weight.to(type);
      half.bias = half.bias.to(type);
      const Results found = ours(half);
      expect_near(found, torchs(half.to(at::kDouble)), 0x1p-8);
      EXPECT_EQ(found.out.scalar_type(), at::kBFloat16);
      EXPECT_EQ(found.weight.scalar_type(), type);
      EXPECT_EQ(found.bias.scalar_type(), type);
    }
  }
}

TEST(LayerNorm, IsTheSameForEveryThreadCount) {
  const Tensors tensors = make_tensors({3000, 48}, at::kFloat);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Results alone = ours(tensors);
  at::set_num_threads(3);
  const Results together = ours(tensors);
  at::set_num_threads(threads);
  EXPECT_TRUE(alone.out.equal(together.out));
  EXPECT_TRUE(alone.x.equal(together.x));
  EXPECT_TRUE(alone.weight.equal(together.weight));
}

TEST(LayerNorm, RefusesASecondDerivative) {
  const Tensors tensors = make_tensors({4, 8}, at::kFloat);
  const at::Tensor x = tensors.x.detach().requires_grad_(true);
  const at::Tensor grad = tensors.grad.detach().requires_grad_(true);
  const at::Tensor out = layer_norm({x, tensors.weight, tensors.bias, kEps});
  EXPECT_THROW(torch::autograd::grad({out}, {x}, {grad}, std::nullopt, /*create_graph=*/true),
               Error);
}

TEST(LayerNorm, LeavesOtherLayoutsAndTypesAlone) {
  const Tensors t = make_tensors({6, 8}, at::kFloat);
  const auto takes = [&](const at::Tensor& x) {
    return takes_layer_norm({x, t.weight, t.bias, kEps});
  };
  EXPECT_TRUE(takes(t.x));
  EXPECT_FALSE(takes(t.x.t()));
  EXPECT_FALSE(takes(t.x.to(at::kDouble)));
  EXPECT_FALSE(takes(t.x.to(at::kHalf)));
}

}  // namespace
}  // namespace sdtune
