#include "kernels/geglu.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "kernels/load_cuda.h"

namespace sdtune {
namespace {

using Shape = std::vector<int64_t>;

// What torch computes, in fp64: the yardstick for every type.
at::Tensor composite(const at::Tensor& x) {
  const auto halves = x.chunk(2, -1);
  return halves[0] * at::gelu(halves[1]);
}

at::Tensor random_input(const Shape& shape, at::ScalarType type, uint64_t seed = 1) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  return (at::randn(shape, generator) * 3).to(type);
}

// The largest difference, as a part of max(1, |expected|).
double distance(const at::Tensor& actual, const at::Tensor& expected) {
  EXPECT_EQ(actual.sizes(), expected.sizes());
  if (actual.numel() == 0) return 0;
  const at::Tensor wanted = expected.to(at::kCPU, at::kDouble);
  const at::Tensor found = actual.to(at::kCPU, at::kDouble);
  return ((found - wanted).abs() / wanted.abs().clamp_min(1)).max().item<double>();
}

double tolerance(at::ScalarType type) {
  if (type == at::kFloat) return 6e-7;
  return type == at::kBFloat16 ? 0x1p-8 : 0x1p-11;  // half a unit in the last place
}

struct Gradients {
  at::Tensor out;
  at::Tensor grad_x;
};

Gradients run(at::Tensor (*function)(const at::Tensor&), const at::Tensor& x,
              const at::Tensor& grad) {
  const at::Tensor leaf = x.detach().set_requires_grad(true);
  const at::Tensor out = function(leaf);
  out.backward(grad);
  return {out.detach(), leaf.grad()};
}

void expect_equal_to_composite(const at::Tensor& x) {
  Shape shape = x.sizes().vec();
  shape.back() /= 2;
  const at::Tensor grad = random_input(shape, x.scalar_type(), 2).to(x.device());
  const Gradients ours = run(geglu, x, grad);
  const Gradients wanted = run(composite, x.to(at::kDouble), grad.to(at::kDouble));
  EXPECT_EQ(ours.out.scalar_type(), x.scalar_type());
  EXPECT_EQ(ours.grad_x.scalar_type(), x.scalar_type());
  EXPECT_LE(distance(ours.out, wanted.out), tolerance(x.scalar_type()));
  // The gate's gradient crosses zero near -0.75, where fp32 itself is what limits it.
  const Gradients single = run(composite, x.to(at::kFloat), grad.to(at::kFloat));
  EXPECT_LE(distance(ours.grad_x, wanted.grad_x),
            tolerance(x.scalar_type()) + 1.5 * distance(single.grad_x, wanted.grad_x));
}

class GegluTypes : public testing::TestWithParam<at::ScalarType> {};

TEST_P(GegluTypes, EqualsTheCompositeForwardAndBackward) {
  // Sizes on both sides of every vector width, and enough rows for several threads.
  for (const Shape& shape :
       {Shape{2}, Shape{3, 2}, Shape{5, 14}, Shape{1, 30}, Shape{2, 3, 34}, Shape{7, 126},
        Shape{2, 77, 130}, Shape{64, 2560}, Shape{1, 1, 20002}}) {
    SCOPED_TRACE(testing::PrintToString(shape));
    expect_equal_to_composite(random_input(shape, GetParam()));
  }
}

TEST_P(GegluTypes, TakesAnyStrides) {
  const at::Tensor base = random_input({6, 10, 24}, GetParam());
  expect_equal_to_composite(base.transpose(0, 1));
  expect_equal_to_composite(base.transpose(1, 2));
  expect_equal_to_composite(base.slice(2, 1, 23, 2).slice(2, 0, 10));
  expect_equal_to_composite(base.select(1, 0).unsqueeze(0).expand({3, 6, 24}));
  EXPECT_TRUE(geglu(base.transpose(1, 2)).is_contiguous());
}

TEST_P(GegluTypes, TakesStridedAndBroadcastGradients) {
  const at::Tensor x = random_input({4, 8}, GetParam());
  const at::Tensor one = at::ones({}, x.options());
  const Gradients ours = run(geglu, x, one.expand({4, 4}));
  const Gradients wanted = run(composite, x.to(at::kDouble), at::ones({4, 4}, at::kDouble));
  EXPECT_LE(distance(ours.grad_x, wanted.grad_x), tolerance(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(AllTypes, GegluTypes,
                         testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         [](const auto& test) { return c10::toString(test.param); });

TEST(Geglu, KeepsItsPrecisionInTheTail) {
  // gelu(-9) is 1e-18: only a form without 1 - erf finds it in fp32.
  const at::Tensor gate = at::linspace(-9, 9, 4001, at::kFloat);
  const at::Tensor x = at::stack({at::ones_like(gate), gate}, 1);
  const at::Tensor exact =
      gate.to(at::kDouble) * 0.5 * at::special_erfc(gate.to(at::kDouble) * -M_SQRT1_2);
  const at::Tensor found = geglu(x).squeeze(1).to(at::kDouble);
  const double worst = ((found - exact).abs() / exact.abs().clamp_min(1e-30)).max().item<double>();
  EXPECT_LE(worst, 5e-6);
}

TEST(Geglu, GradientIsTheSlope) {
  const at::Tensor x = random_input({3, 10}, at::kFloat);
  const at::Tensor grad = run(geglu, x, at::ones({3, 5})).grad_x;
  const double step = 1e-2;
  for (int64_t i = 0; i < x.numel(); ++i) {
    at::Tensor above = x.clone();
    at::Tensor below = x.clone();
    above.view(-1)[i] += step;
    below.view(-1)[i] -= step;
    const double rise =
        (geglu(above).sum(at::kDouble) - geglu(below).sum(at::kDouble)).item<double>();
    EXPECT_NEAR(grad.view(-1)[i].item<double>(), rise / (2 * step), 2e-3) << "element " << i;
  }
}

TEST(Geglu, RoundsEveryHalfToNearest) {
  // With a gate of +40, gelu is the identity, so the product shows load and store alone.
  const at::Tensor values = at::arange(65536, at::kInt).to(at::kShort).view(at::kHalf);
  const at::Tensor x = at::stack({values, at::full_like(values, 2)}, 1);
  const at::Tensor wanted = (values.to(at::kDouble) * at::gelu(at::full({}, 2.0, at::kDouble)));
  const at::Tensor found = geglu(x).squeeze(1);
  const at::Tensor rounded = wanted.to(at::kFloat).to(at::kHalf);
  EXPECT_TRUE(at::equal(found.isnan(), rounded.isnan()));
  EXPECT_TRUE(at::equal(found.isinf(), rounded.isinf()));
  const at::Tensor finite = rounded.isfinite();
  const at::Tensor apart =
      (found.view(at::kShort).to(at::kInt) - rounded.view(at::kShort).to(at::kInt)).abs();
  // Products that fall between two halves may go either way with fp32's last bit; no more than one
  // unit.
  EXPECT_LE(apart.masked_select(finite).max().item<int>(), 1);
  EXPECT_LE(apart.masked_select(finite).ne(0).sum().item<int>(), 64);
}

TEST(Geglu, PassesOnWhatIsNoNumber) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const at::Tensor x =
        at::tensor({nan, 1.0F, 1.0F, nan, 1.0F, infinity, -infinity, 2.0F}).view({4, 2});
    const at::Tensor out = geglu(x.to(type)).to(at::kFloat);
    EXPECT_TRUE(std::isnan(out[0].item<float>()));
    EXPECT_TRUE(std::isnan(out[1].item<float>()));
    EXPECT_EQ(out[2].item<float>(), infinity);
    EXPECT_EQ(out[3].item<float>(), -infinity);
  }
}

TEST(Geglu, IsTheSameForEveryThreadCount) {
  const at::Tensor x = random_input({333, 514}, at::kFloat);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor alone = geglu(x);
  at::set_num_threads(2);
  const at::Tensor together = geglu(x);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(alone, together));
}

TEST(Geglu, TakesEmptyInput) {
  EXPECT_EQ(geglu(at::empty({0, 8})).sizes(), (Shape{0, 4}));
  EXPECT_EQ(geglu(at::empty({3, 0})).sizes(), (Shape{3, 0}));
}

// What a forward pass leaves allocated until its backward pass, in bytes. Blocks of this size come
// from the system one by one, so that glibc knows their sum.
size_t bytes_kept(at::Tensor (*function)(const at::Tensor&), const at::Tensor& x) {
  const size_t before = ::mallinfo2().hblkhd;
  const at::Tensor out = function(x);
  return ::mallinfo2().hblkhd - before;
}

TEST(Geglu, KeepsOnlyItsInputForTheBackwardPass) {
  const at::Tensor x = at::zeros({4096, 8192}).set_requires_grad(true);
  const size_t out_bytes = x.nbytes() / 2;
  EXPECT_LT(bytes_kept(geglu, x), out_bytes * 11 / 10);
  EXPECT_GT(bytes_kept(composite, x), out_bytes * 19 / 10);
}

TEST(Geglu, NeedsNoGraphForAnInputWithoutGradient) {
  EXPECT_FALSE(geglu(random_input({2, 8}, at::kFloat)).requires_grad());
}

TEST(Geglu, RefusesWhatItCannotHalve) {
  EXPECT_THROW(geglu(at::ones({})), Error);
  EXPECT_THROW(geglu(at::ones({2, 3})), Error);
  EXPECT_THROW(geglu(at::ones({2, 4}, at::kDouble)), Error);
  try {
    geglu(at::ones({2, 3}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              "GEGLU halves the last dimension, and [2, 3] has no even one");
    EXPECT_EQ(error.where(), "sdtune::geglu");
  }
}

TEST(Geglu, RefusesASecondDerivative) {
  const at::Tensor x = random_input({2, 8}, at::kFloat).set_requires_grad(true);
  try {
    geglu(x).pow(2).sum().backward({}, /*keep_graph=*/true, /*create_graph=*/true);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "GEGLU has no second derivative");
  }
}

TEST(Geglu, EqualsTheCompositeOnCuda) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    for (const Shape& shape : {Shape{3, 2}, Shape{5, 14}, Shape{2, 77, 130}, Shape{4096, 2560}}) {
      SCOPED_TRACE(testing::PrintToString(shape));
      expect_equal_to_composite(random_input(shape, type).to(at::kCUDA));
    }
    expect_equal_to_composite(random_input({6, 10, 24}, type).to(at::kCUDA).transpose(1, 2));
  }
}

}  // namespace
}  // namespace sdtune
