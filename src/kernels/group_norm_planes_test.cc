#include "kernels/group_norm_planes.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "base/error.h"
#include "kernels/group_norm_for_test.h"

namespace sdtune {
namespace {

constexpr double kEps = 1e-5;

struct Case {
  std::vector<int64_t> shape;
  int64_t groups;
  double mean = 0;
};

Results ours(const Tensors& tensors, int64_t groups, bool silu) {
  return run(tensors, [&](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    const GroupNormCall call{x, groups, weight, bias, kEps, silu};
    EXPECT_TRUE(takes_group_norm_planes(call));
    return group_norm_planes(call);
  });
}

Results torchs(const Tensors& tensors, int64_t groups, bool silu) {
  return run(tensors, [&](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    const at::Tensor out = at::group_norm(x, groups, weight, bias, kEps);
    return silu ? at::silu(out) : out;
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

const Case kCases[] = {{{1, 64, 32, 32}, 32}, {{2, 8, 5, 3}, 4},    {{3, 6, 1, 1}, 3},
                       {{1, 33, 9, 2}, 11},   {{2, 4, 40, 31}, 1},  {{2, 12, 77}, 6},
                       {{4, 10}, 5},          {{1, 8, 8, 8}, 8, 50}};

TEST(GroupNormPlanes, HasTheExactResultAndGradients) {
  for (const Case& c : kCases) {
    for (const bool silu : {false, true}) {
      SCOPED_TRACE(testing::Message() << "shape " << c.shape[0] << " x " << c.shape[1] << " x …, "
                                      << c.groups << " groups, silu " << silu);
      const Tensors single = make_tensors(c.shape, at::kFloat, c.mean);
      const Results exact = torchs(single.to(at::kDouble), c.groups, silu);
      // Groups of two values that are nearly the same are what fp32 itself has little left of.
      const double fp32s = distance(torchs(single, c.groups, silu).x, exact.x);
      expect_near(ours(single, c.groups, silu), exact, 3e-6 + 1.5 * fp32s);
    }
  }
}

// x and its gradient of bf16; the parameters of either type, and their gradients of theirs.
TEST(GroupNormPlanes, RoundsOnceToBf16) {
  for (const Case& c : kCases) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      Tensors half = make_tensors(c.shape, at::kBFloat16, c.mean);
      half.weight = half.weight.to(type);
      half.bias = half.bias.to(type);
      const Results found = ours(half, c.groups, true);
      expect_near(found, torchs(half.to(at::kDouble), c.groups, true), 0x1p-8);
      EXPECT_EQ(found.out.scalar_type(), at::kBFloat16);
      EXPECT_EQ(found.x.scalar_type(), at::kBFloat16);
      EXPECT_EQ(found.weight.scalar_type(), type);
      EXPECT_EQ(found.bias.scalar_type(), type);
    }
  }
}

TEST(GroupNormPlanes, KeepsItsDigitsFarFromZero) {
  const Case far{{1, 64, 24, 24}, 32, 300};
  const Tensors tensors = make_tensors(far.shape, at::kFloat, far.mean);
  EXPECT_LT(distance(ours(tensors, 32, false).out, torchs(tensors.to(at::kDouble), 32, false).out),
            1e-4);
}

TEST(GroupNormPlanes, IsTheSameForEveryThreadCount) {
  const Tensors tensors = make_tensors({2, 32, 30, 30}, at::kFloat);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Results alone = ours(tensors, 8, true);
  at::set_num_threads(3);
  const Results together = ours(tensors, 8, true);
  at::set_num_threads(threads);
  EXPECT_TRUE(alone.out.equal(together.out));
  EXPECT_TRUE(alone.x.equal(together.x));
  EXPECT_TRUE(alone.weight.equal(together.weight));
}

TEST(GroupNormPlanes, RefusesASecondDerivative) {
  const Tensors tensors = make_tensors({1, 4, 3, 3}, at::kFloat);
  const at::Tensor x = tensors.x.detach().requires_grad_(true);
  const at::Tensor grad = tensors.grad.detach().requires_grad_(true);
  const at::Tensor out = group_norm_planes({x, 2, tensors.weight, tensors.bias, kEps, true});
  EXPECT_THROW(torch::autograd::grad({out}, {x}, {grad}, std::nullopt, /*create_graph=*/true),
               Error);
}

TEST(GroupNormPlanes, LeavesOtherLayoutsAndTypesAlone) {
  const Tensors t = make_tensors({1, 8, 6, 6}, at::kFloat);
  const auto takes = [&](const at::Tensor& x) {
    return takes_group_norm_planes({x, 4, t.weight, t.bias, kEps, true});
  };
  EXPECT_TRUE(takes(t.x));
  EXPECT_FALSE(takes(t.x.contiguous(at::MemoryFormat::ChannelsLast)));
  EXPECT_FALSE(takes(t.x.to(at::kDouble)));
  EXPECT_FALSE(takes(t.x.to(at::kHalf)));
}

}  // namespace
}  // namespace sdtune
