#include "kernels/conv2d.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <torch/csrc/autograd/autograd.h>

#include <random>

#include "base/error.h"
#include "base/system.h"
#include "kernels/gemm_cpu.h"
#include "kernels/memory_meter.h"

namespace sdtune {
namespace {

constexpr Conv2dWays kByColumns = {Conv2dWay::kColumns, Conv2dWay::kColumns, Conv2dWay::kColumns};
constexpr Conv2dWays kByWinograd = {Conv2dWay::kWinograd, Conv2dWay::kWinograd,
                                    Conv2dWay::kWinograd};

struct Shape {
  int64_t batch, in, out, height, width;
  int64_t kernel = 3, stride = 1, padding = 1;
};

void PrintTo(const Shape& s, std::ostream* out) {
  *out << s.batch << "x" << s.in << "->" << s.out << " @ " << s.height << "x" << s.width
       << " kernel " << s.kernel << " stride " << s.stride << " padding " << s.padding;
}

struct Case {
  at::Tensor x, weight, bias;
  int64_t stride, padding;
};

// Weights as layers have them, so that results are near 1.
Case random_case(const Shape& s, at::ScalarType type, uint64_t seed) {
  auto random = at::make_generator<at::CPUGeneratorImpl>(seed);
  const double scale = 1 / std::sqrt(static_cast<double>(s.in * s.kernel * s.kernel));
  return {at::randn({s.batch, s.in, s.height, s.width}, random).to(type),
          (at::randn({s.out, s.in, s.kernel, s.kernel}, random) * scale).to(type),
          at::randn({s.out}, random).to(type), s.stride, s.padding};
}

struct Products {
  at::Tensor result, x, weight, bias;  // the result, then gradients
};

// Undefined tensors among the gradients are those that were not asked for.
Products products(const Case& given, const at::Tensor& grad, const Conv2dWays& ways) {
  const auto leaf = [](const at::Tensor& t) {
    return t.defined() ? t.detach().set_requires_grad(true) : t;
  };
  const at::Tensor x = leaf(given.x), weight = leaf(given.weight), bias = leaf(given.bias);
  const at::Tensor result = conv2d({x, weight, bias, given.stride, given.padding}, ways);
  result.backward(grad);
  return {result.detach(), x.grad(), weight.grad(), bias.defined() ? bias.grad() : at::Tensor()};
}

Case in_double(const Case& given) {
  const auto cast = [](const at::Tensor& t) { return t.defined() ? t.to(at::kDouble) : t; };
  return {cast(given.x), cast(given.weight), cast(given.bias), given.stride, given.padding};
}

// The largest difference, as a part of the largest value.
double distance(const at::Tensor& actual, const at::Tensor& expected) {
  EXPECT_EQ(actual.sizes(), expected.sizes());
  const at::Tensor found = actual.to(at::kDouble);
  return ((found - expected).abs().max() / expected.abs().max().clamp_min(1e-3)).item<double>();
}

at::Tensor gradient_for(const Case& given, uint64_t seed) {
  const at::NoGradGuard frozen;
  const at::Tensor result =
      conv2d({given.x, given.weight, given.bias, given.stride, given.padding}, {});
  auto random = at::make_generator<at::CPUGeneratorImpl>(seed);
  return at::randn(result.sizes(), random).to(given.x.scalar_type());
}

// Against torch in double; a type's own rounding is what limits it.
void expect_right(const Case& given, const at::Tensor& grad, const Conv2dWays& ways) {
  const Products found = products(given, grad, ways);
  const Products wanted = products(in_double(given), grad.to(at::kDouble), {});
  const auto type = given.x.scalar_type();
  const double limit = type == at::kFloat ? 4e-6 : 0x1p-7;
  EXPECT_EQ(found.result.scalar_type(), type);
  EXPECT_EQ(found.x.scalar_type(), type);
  EXPECT_EQ(found.weight.scalar_type(), type);
  EXPECT_LE(distance(found.result, wanted.result), limit);
  EXPECT_LE(distance(found.x, wanted.x), limit);
  EXPECT_LE(distance(found.weight, wanted.weight), limit);
  if (given.bias.defined()) {
    EXPECT_LE(distance(found.bias, wanted.bias), limit);
  }
}

Shape random_shape(std::mt19937_64& random) {
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  Shape shape{draw(1, 3), draw(1, 40), draw(1, 40), draw(1, 20), draw(1, 20)};
  shape.kernel = draw(0, 2) == 0 ? 1 : 3;
  shape.stride = draw(1, 2);
  shape.padding = draw(0, shape.kernel / 2);
  if (shape.padding == 0 && shape.kernel == 3) {
    shape.height += 2;
    shape.width += 2;
  }
  return shape;
}

TEST(Conv2d, ByColumnsEqualsTorch) {
  std::mt19937_64 random(1);
  for (uint64_t i = 0; i < 120; ++i) {
    const Shape shape = random_shape(random);
    const auto type = i % 2 == 0 ? at::kFloat : at::kBFloat16;
    SCOPED_TRACE(testing::PrintToString(shape) + " " + c10::toString(type));
    const Case given = random_case(shape, type, i);
    expect_right(given, gradient_for(given, i + 1000), kByColumns);
  }
}

// More channels and pixels than one block of a product takes.
TEST(Conv2d, ByColumnsEqualsTorchOverManyChannels) {
  for (const Shape& shape : {Shape{1, 160, 107, 8, 8}, Shape{2, 72, 110, 17, 19}}) {
    SCOPED_TRACE(testing::PrintToString(shape));
    const Case given = random_case(shape, at::kFloat, 1);
    expect_right(given, gradient_for(given, 2), kByColumns);
  }
}

TEST(Conv2d, ByWinogradEqualsTorch) {
  std::mt19937_64 random(2);
  for (uint64_t i = 0; i < 80; ++i) {
    Shape shape = random_shape(random);
    shape.kernel = 3;
    shape.stride = shape.padding = 1;
    SCOPED_TRACE(testing::PrintToString(shape));
    const Case given = random_case(shape, at::kFloat, i);
    expect_right(given, gradient_for(given, i + 1000), kByWinograd);
  }
}

class Conv2dWayTest : public testing::TestWithParam<Conv2dWays> {};

TEST_P(Conv2dWayTest, TakesAnyStridesOfInputAndGradient) {
  const Case plain = random_case({2, 16, 5, 8, 8}, at::kFloat, 3);
  const at::Tensor grad = gradient_for(plain, 4);
  for (const at::Tensor& x :
       {plain.x.transpose(2, 3), plain.x.flip({0}), plain.x.slice(0, 0, 1).expand({2, 16, 8, 8}),
        at::cat({plain.x, plain.x}, 3).slice(3, 0, 16, 2),
        plain.x.contiguous(at::MemoryFormat::ChannelsLast)}) {
    Case given = plain;
    given.x = x;
    expect_right(given, grad, GetParam());
    expect_right(given, grad.transpose(2, 3), GetParam());
    expect_right(given, grad.slice(3, 0, 1).expand({2, 5, 8, 8}), GetParam());
  }
}

TEST_P(Conv2dWayTest, TakesNoBias) {
  Case given = random_case({2, 16, 5, 8, 8}, at::kFloat, 5);
  given.bias = at::Tensor();
  expect_right(given, gradient_for(given, 6), GetParam());
}

TEST_P(Conv2dWayTest, ComputesOnlyTheGradientsThatAreAskedFor) {
  const Case given = random_case({1, 16, 5, 8, 8}, at::kFloat, 7);
  const at::Tensor grad = gradient_for(given, 8);
  const Products all = products(given, grad, GetParam());
  for (int asked = 1; asked < 8; ++asked) {
    const at::Tensor x = given.x.detach().set_requires_grad((asked & 1) != 0);
    const at::Tensor weight = given.weight.detach().set_requires_grad((asked & 2) != 0);
    const at::Tensor bias = given.bias.detach().set_requires_grad((asked & 4) != 0);
    conv2d({x, weight, bias, 1, 1}, GetParam()).backward(grad);
    for (const auto& [leaf, wanted] :
         {std::pair(x, all.x), {weight, all.weight}, {bias, all.bias}}) {
      ASSERT_EQ(leaf.grad().defined(), leaf.requires_grad()) << asked;
      if (!leaf.requires_grad()) continue;
      EXPECT_LE(distance(leaf.grad(), wanted.to(at::kDouble)), 1e-6);
    }
  }
}

TEST_P(Conv2dWayTest, RunsItsBackwardPassAgain) {
  const Case given = random_case({1, 16, 5, 8, 8}, at::kFloat, 9);
  const at::Tensor weight = given.weight.set_requires_grad(true);
  const at::Tensor result = conv2d({given.x, weight, given.bias, 1, 1}, GetParam());
  const at::Tensor grad = at::ones_like(result);
  const auto once = torch::autograd::grad({result}, {weight}, {grad}, /*retain_graph=*/true);
  const auto twice = torch::autograd::grad({result}, {weight}, {grad});
  EXPECT_TRUE(at::equal(once[0], twice[0]));
}

TEST_P(Conv2dWayTest, RecordsNothingWithoutAGradient) {
  const Case given = random_case({1, 16, 5, 8, 8}, at::kFloat, 10);
  EXPECT_FALSE(conv2d({given.x, given.weight, given.bias, 1, 1}, GetParam()).requires_grad());
  const at::Tensor weight = given.weight.set_requires_grad(true);
  const at::NoGradGuard frozen;
  EXPECT_FALSE(conv2d({given.x, weight, given.bias, 1, 1}, GetParam()).requires_grad());
}

TEST_P(Conv2dWayTest, RefusesASecondDerivative) {
  const Case given = random_case({1, 16, 5, 8, 8}, at::kFloat, 11);
  const at::Tensor x = given.x.set_requires_grad(true);
  const at::Tensor result = conv2d({x, given.weight, given.bias, 1, 1}, GetParam());
  try {
    result.pow(2).sum().backward({}, /*keep_graph=*/true, /*create_graph=*/true);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "this convolution has no second derivative");
  }
}

TEST_P(Conv2dWayTest, SeesWhatWasChangedBeforeTheBackwardPass) {
  const Case given = random_case({1, 16, 5, 8, 8}, at::kFloat, 12);
  const at::Tensor weight = given.weight.set_requires_grad(true);
  const at::Tensor x = given.x.clone();
  const at::Tensor result = conv2d({x, weight, given.bias, 1, 1}, GetParam());
  x.add_(1);
  EXPECT_THROW(result.sum().backward(), c10::Error);
}

// Blocks of this size come from the system one by one, so that glibc knows their sum.
TEST_P(Conv2dWayTest, KeepsNothingButItsInputAndWeight) {
  const Case given = random_case({1, 64, 64, 128, 128}, at::kFloat, 13);
  const at::Tensor weight = given.weight.set_requires_grad(true);
  const size_t before = ::mallinfo2().hblkhd;
  const at::Tensor result = conv2d({given.x, weight, given.bias, 1, 1}, GetParam());
  EXPECT_LT(::mallinfo2().hblkhd - before, result.nbytes() * 11 / 10);
}

INSTANTIATE_TEST_SUITE_P(All, Conv2dWayTest, testing::Values(kByColumns, kByWinograd),
                         [](const auto& test) {
                           const bool columns = test.param.result == Conv2dWay::kColumns;
                           return columns ? "Columns" : "Winograd";
                         });

TEST(Conv2d, MixesWays) {
  const Case given = random_case({2, 16, 5, 8, 8}, at::kFloat, 14);
  const at::Tensor grad = gradient_for(given, 15);
  const auto ways = {Conv2dWay::kTorch, Conv2dWay::kColumns, Conv2dWay::kWinograd};
  for (const Conv2dWay result : ways) {
    for (const Conv2dWay input : ways) {
      for (const Conv2dWay weight : ways) expect_right(given, grad, {result, input, weight});
    }
  }
}

TEST(Conv2d, LeavesToTorchWhatAWayCannotTake) {
  const Case given = random_case({1, 16, 5, 8, 8}, at::kDouble, 16);
  const at::Tensor grad = gradient_for(given, 17);
  for (const Conv2dWays& ways : {kByColumns, kByWinograd}) {
    const Products found = products(given, grad, ways), wanted = products(given, grad, {});
    EXPECT_TRUE(at::equal(found.result, wanted.result));
    EXPECT_TRUE(at::equal(found.x, wanted.x));
    EXPECT_TRUE(at::equal(found.weight, wanted.weight));
    const at::Tensor last =
        random_case({2, 16, 5, 8, 8}, at::kFloat, 18).x.contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor out = conv2d({last, given.weight.to(at::kFloat), {}, 1, 1}, ways);
    EXPECT_TRUE(out.is_contiguous(at::MemoryFormat::ChannelsLast));
  }
  const Case strided = random_case({1, 16, 5, 8, 8, 3, 2, 1}, at::kFloat, 19);
  expect_right(strided, gradient_for(strided, 20), kByWinograd);
}

TEST(Conv2d, IsRightByTheFastestWays) {
  for (const Shape& shape :
       {Shape{1, 320, 256, 4, 4}, Shape{1, 256, 320, 4, 5}, Shape{2, 256, 256, 8, 8},
        Shape{1, 256, 256, 16, 16}, Shape{1, 256, 256, 15, 17}, Shape{1, 256, 256, 16, 16, 3, 2, 1},
        Shape{1, 640, 320, 8, 8, 1, 1, 0}, Shape{1, 320, 320, 32, 32, 1, 1, 0}}) {
    SCOPED_TRACE(testing::PrintToString(shape));
    const Case given = random_case(shape, at::kFloat, 22);
    const Conv2dWays ways =
        fastest_ways({given.x, given.weight, given.bias, given.stride, given.padding});
    expect_right(given, gradient_for(given, 23), ways);
  }
}

Conv2dWays fastest_ways_of(const Shape& shape, at::ScalarType type) {
  const Case given = random_case(shape, type, 24);
  return fastest_ways({given.x, given.weight, given.bias, given.stride, given.padding});
}

void expect_all(const Conv2dWays& ways, Conv2dWay way) {
  EXPECT_EQ(ways.result, way);
  EXPECT_EQ(ways.input_gradient, way);
  EXPECT_EQ(ways.weight_gradient, way);
}

void expect_torch(const Conv2dWays& ways) { expect_all(ways, Conv2dWay::kTorch); }

TEST(Conv2d, TakesTheWaysThatWereMeasured) {
  if (!gemm_is_fast()) {
    expect_torch(fastest_ways_of({1, 256, 256, 16, 16}, at::kFloat));
    GTEST_SKIP() << "this processor has no AVX2";
  }
  expect_all(fastest_ways_of({1, 256, 256, 8, 8}, at::kFloat), Conv2dWay::kColumns);
  expect_all(fastest_ways_of({4, 256, 256, 8, 8}, at::kFloat), Conv2dWay::kWinograd);
  expect_all(fastest_ways_of({1, 128, 256, 64, 64}, at::kFloat), Conv2dWay::kWinograd);
  expect_all(fastest_ways_of({1, 256, 256, 64, 64, 1, 1, 0}, at::kFloat), Conv2dWay::kColumns);
  const Conv2dWays halving = fastest_ways_of({1, 256, 256, 64, 64, 3, 2, 1}, at::kFloat);
  EXPECT_EQ(halving.result, Conv2dWay::kTorch);
  EXPECT_EQ(halving.weight_gradient, Conv2dWay::kColumns);
  expect_torch(fastest_ways_of({1, 4, 256, 64, 64}, at::kFloat));
}

TEST(Conv2d, TakesColumnsInBFloat16WhereTheProcessorComputesIt) {
  const Conv2dWays deep = fastest_ways_of({1, 256, 256, 8, 8}, at::kBFloat16);
  if (!processor_computes_bf16()) return expect_torch(deep);
  EXPECT_EQ(deep.result, Conv2dWay::kColumns);
  EXPECT_EQ(deep.input_gradient, Conv2dWay::kColumns);
  EXPECT_EQ(deep.weight_gradient, Conv2dWay::kColumns);
  expect_torch(fastest_ways_of({1, 256, 256, 32, 32}, at::kBFloat16));
}

template <class Work>
int64_t most_bytes(Work work) {
  const auto memory = std::make_shared<MemoryMeter>();
  const c10::DebugInfoGuard watched(c10::DebugInfoKind::PROFILER_STATE, memory);
  work();
  return memory->peak_since_start();
}

// The workspace, what is made, and small tensors beside.
void expect_workspace(const Shape& shape, Conv2dWay way) {
  SCOPED_TRACE(testing::PrintToString(shape) + " " + std::to_string(static_cast<int>(way)));
  const Case given = random_case(shape, at::kFloat, 25);
  const Conv2dWays ways = {way, way, way};
  const at::Tensor x = given.x.set_requires_grad(true);
  const at::Tensor weight = given.weight.set_requires_grad(true);
  at::Tensor result;
  const int64_t forward = most_bytes([&] {
    result = conv2d({x, weight, given.bias, shape.stride, shape.padding}, ways);
  });
  const at::Tensor grad = at::ones_like(result);
  const int64_t backward = most_bytes([&] {
    torch::autograd::grad({result}, {x, weight}, {grad});
  });
  const int64_t told =
      4 * conv2d_workspace({shape.batch, shape.in, shape.out, shape.height, shape.width,
                            shape.kernel, shape.stride, shape.padding},
                           ways);
  const auto made = static_cast<int64_t>(x.nbytes() + weight.nbytes() + result.nbytes());
  EXPECT_GE(std::max(forward, backward), told);
  EXPECT_LE(std::max(forward, backward), told + made + told / 20);
}

TEST(Conv2d, HasFastPlanesInFp32OnAGpu) {
  EXPECT_TRUE(has_fast_planes(at::kFloat, at::kCUDA));
  EXPECT_FALSE(has_fast_planes(at::kHalf, at::kCUDA));
  EXPECT_FALSE(has_fast_planes(at::kBFloat16, at::kCUDA));
  EXPECT_EQ(has_fast_planes(at::kFloat, at::kCPU), gemm_is_fast());
  EXPECT_FALSE(has_fast_planes(at::kBFloat16, at::kCPU));
}

TEST(Conv2d, TakesTheWorkspaceThatItTells) {
  for (const Shape& shape :
       {Shape{1, 256, 320, 16, 16}, Shape{1, 64, 48, 64, 64}, Shape{2, 128, 160, 8, 6},
        Shape{1, 160, 128, 16, 16, 3, 2, 1}, Shape{3, 128, 64, 8, 8, 1, 1, 0}}) {
    expect_workspace(shape, Conv2dWay::kColumns);
    if (shape.kernel == 3 && shape.stride == 1) expect_workspace(shape, Conv2dWay::kWinograd);
  }
}

TEST(Conv2d, TakesEmptyBatches) {
  const Case given = random_case({1, 16, 5, 8, 8}, at::kFloat, 21);
  const at::Tensor x = given.x.slice(0, 0, 0);
  for (const Conv2dWays& ways : {kByColumns, kByWinograd}) {
    EXPECT_EQ(conv2d({x, given.weight, given.bias, 1, 1}, ways).size(0), 0);
  }
}

}  // namespace
}  // namespace sdtune
