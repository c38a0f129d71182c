#include "kernels/group_norm_device.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "base/error.h"
#include "kernels/group_norm_element.h"
#include "kernels/group_norm_for_test.h"
#include "kernels/load_cuda.h"

namespace sdtune {
namespace {

constexpr double kEps = 1e-5;

// torch's, on the CPU in fp64.
Results exact(const Tensors& t, int64_t groups, bool silu) {
  const auto wide = [](const at::Tensor& x) { return x.to(at::kCPU, at::kDouble).contiguous(); };
  return run({wide(t.x), wide(t.weight), wide(t.bias), wide(t.grad)},
             [&](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
               const at::Tensor out = at::group_norm(x, groups, weight, bias, kEps);
               return silu ? at::silu(out) : out;
             });
}

double distance(const at::Tensor& found, const at::Tensor& wanted) {
  return (found.to(at::kCPU, at::kDouble) - wanted).abs().max().item<double>() /
         std::max(1.0, wanted.abs().max().item<double>());
}

void expect_near(const Results& found, const Results& wanted, double tolerance) {
  EXPECT_LT(distance(found.out, wanted.out), tolerance);
  EXPECT_LT(distance(found.x, wanted.x), tolerance);
  EXPECT_LT(distance(found.weight, wanted.weight), tolerance);
  EXPECT_LT(distance(found.bias, wanted.bias), tolerance);
}

// What the kernels compute for [1, C, P] in one group, one value after the other on the CPU.
Results by_elements(const Tensors& t, bool silu) {
  const int64_t channels = t.x.size(1), pixels = t.x.size(2);
  const auto at_place = [](const at::Tensor& x, int64_t c, int64_t p) {
    return x[0][c][p].item<float>();
  };
  RunningMoments all = {};
  for (int64_t c = 0; c < channels; ++c) {
    RunningMoments own = {};
    int64_t p = 0;
    for (; p + 4 <= pixels; p += 4) {
      const float four[4] = {at_place(t.x, c, p), at_place(t.x, c, p + 1), at_place(t.x, c, p + 2),
                             at_place(t.x, c, p + 3)};
      add_values(own, four);
    }
    for (; p < pixels; ++p) join(own, {1, at_place(t.x, c, p), 0});
    join(all, own);
  }
  const auto count = static_cast<double>(channels * pixels);
  EXPECT_EQ(all.count, count);
  const auto inverse = static_cast<float>(1 / std::sqrt(all.squares / count + kEps));
  const auto norm_of = [&](int64_t c) {
    return ChannelNorm{all.mean, inverse, t.weight[c].item<float>() * inverse,
                       t.bias[c].item<float>()};
  };
  Results made{at::empty_like(t.x), at::empty_like(t.x), at::zeros_like(t.weight),
               at::zeros_like(t.bias)};
  double grads = 0, products = 0;
  for (int64_t c = 0; c < channels; ++c) {
    const ChannelNorm norm = norm_of(c);
    for (int64_t p = 0; p < pixels; ++p) {
      const float x = at_place(t.x, c, p);
      made.out[0][c][p] = normed(norm, x, silu);
      const float grad_z = grad_of_normed(norm, x, at_place(t.grad, c, p), silu);
      const float product = grad_z * ((x - norm.mean) * norm.inverse);
      made.bias[c] += grad_z;
      made.weight[c] += product;
      grads += t.weight[c].item<double>() * grad_z;
      products += t.weight[c].item<double>() * product;
    }
  }
  const GroupLine line = group_line(grads, products, inverse, count);
  for (int64_t c = 0; c < channels; ++c) {
    const ChannelNorm norm = norm_of(c);
    for (int64_t p = 0; p < pixels; ++p) {
      const float x = at_place(t.x, c, p);
      made.x[0][c][p] =
          grad_of_x(norm, line, x, grad_of_normed(norm, x, at_place(t.grad, c, p), silu));
    }
  }
  return made;
}

TEST(GroupNormElement, HasTheExactResultAndGradients) {
  for (const bool silu : {false, true}) {
    for (const double mean : {0.0, 30.0}) {
      const Tensors t = make_tensors({1, 5, 23}, at::kFloat, mean);
      expect_near(by_elements(t, silu), exact(t, 1, silu), mean == 0 ? 3e-6 : 3e-5);
    }
  }
}

TEST(GroupNormElement, JoinsWhatIsEmptyOnEitherSide) {
  RunningMoments all = {};
  join(all, {});
  EXPECT_EQ(all.count, 0);
  join(all, {3, 2, 8});
  join(all, {});
  EXPECT_EQ(all.count, 3);
  EXPECT_EQ(all.mean, 2);
  EXPECT_EQ(all.squares, 8);
}

TEST(GroupNormDevice, LeavesTheCpuAlone) {
  const Tensors t = make_tensors({1, 8, 6, 6}, at::kFloat);
  EXPECT_FALSE(takes_group_norm_on_device({t.x, 4, t.weight, t.bias, kEps, true}));
}

enum class Layout { kContiguous, kChannelsLast, kOther };

// A copy on the device in that layout; in another where the shape has but one.
at::Tensor on_device(const at::Tensor& x, Layout layout) {
  const at::Tensor there = x.to(at::kCUDA);
  if (layout == Layout::kContiguous || x.dim() != 4) return there;
  if (layout == Layout::kChannelsLast) return there.contiguous(at::MemoryFormat::ChannelsLast);
  return there.transpose(2, 3).contiguous().transpose(2, 3);
}

Results ours(const Tensors& t, int64_t groups, bool silu, Layout layout) {
  const Tensors there = {on_device(t.x, layout), t.weight.to(at::kCUDA), t.bias.to(at::kCUDA),
                         on_device(t.grad, Layout::kContiguous)};
  return run(there, [&](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    const GroupNormCall call{x, groups, weight, bias, kEps, silu};
    EXPECT_TRUE(takes_group_norm_on_device(call));
    return group_norm_on_device(call);
  });
}

struct Case {
  std::vector<int64_t> shape;
  int64_t groups;
};
// On both sides of vectors, tiles and parts.
const Case kCases[] = {{{1, 64, 32, 32}, 32},    {{2, 8, 5, 3}, 4},      {{1, 33, 9, 2}, 11},
                       {{2, 4, 40, 31}, 1},      {{2, 12, 77}, 6},       {{4, 40}, 5},
                       {{1, 320, 64, 64}, 32},   {{2, 1280, 8, 8}, 32},  {{1, 2560, 9, 7}, 32},
                       {{1, 128, 160, 130}, 32}, {{3, 1920, 16, 16}, 32}};

class OnCuda : public testing::TestWithParam<at::ScalarType> {};

TEST_P(OnCuda, HasTheExactResultAndGradients) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  // Half a unit in the last place, and what fp32 leaves.
  const double half_unit = GetParam() == at::kHalf ? 0x1p-11 : 0x1p-8;
  const double tolerance = GetParam() == at::kFloat ? 1e-5 : 1.05 * half_unit;
  for (const Case& c : kCases) {
    const Tensors t = make_tensors(c.shape, GetParam());
    for (const bool silu : {false, true}) {
      const Results wanted = exact(t, c.groups, silu);
      for (const Layout layout : {Layout::kContiguous, Layout::kChannelsLast, Layout::kOther}) {
        SCOPED_TRACE(testing::PrintToString(c.shape) + (silu ? " silu" : ""));
        const Results found = ours(t, c.groups, silu, layout);
        expect_near(found, wanted, tolerance);
        EXPECT_EQ(found.out.scalar_type(), GetParam());
        if (layout == Layout::kChannelsLast && c.shape.size() == 4) {
          EXPECT_TRUE(found.out.is_contiguous(at::MemoryFormat::ChannelsLast));
          EXPECT_TRUE(found.x.is_contiguous(at::MemoryFormat::ChannelsLast));
        }
      }
    }
  }
}

TEST_P(OnCuda, HasTheSameBitsEachTime) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  const Tensors t = make_tensors({2, 320, 48, 40}, GetParam());
  for (const Layout layout : {Layout::kContiguous, Layout::kChannelsLast}) {
    const Results once = ours(t, 32, true, layout), again = ours(t, 32, true, layout);
    EXPECT_TRUE(once.out.equal(again.out));
    EXPECT_TRUE(once.x.equal(again.x));
    EXPECT_TRUE(once.weight.equal(again.weight));
    EXPECT_TRUE(once.bias.equal(again.bias));
  }
}

INSTANTIATE_TEST_SUITE_P(GroupNormDevice, OnCuda,
                         testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         [](const auto& test) { return c10::toString(test.param); });

TEST(GroupNormDevice, KeepsItsDigitsFarFromZero) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  const Tensors t = make_tensors({1, 64, 24, 24}, at::kFloat, 300);
  for (const Layout layout : {Layout::kContiguous, Layout::kChannelsLast}) {
    EXPECT_LT(distance(ours(t, 32, false, layout).out, exact(t, 32, false).out), 1e-4);
  }
}

// Behind a transformer's norm pixels are rows, whose gradient comes back with other strides for the
// one picture.
TEST(GroupNormDevice, TakesAGradientOfOnePictureOfAnyStrides) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  const Tensors t = make_tensors({1, 64, 32, 32}, at::kBFloat16);
  const at::Tensor x = on_device(t.x, Layout::kChannelsLast).set_requires_grad(true);
  const at::Tensor out =
      group_norm_on_device({x, 32, t.weight.to(at::kCUDA), t.bias.to(at::kCUDA), kEps, false});
  out.flatten(2).transpose(1, 2).backward(t.grad.to(at::kCUDA).flatten(2).transpose(1, 2));
  EXPECT_LT(distance(x.grad(), exact(t, 32, false).x), 0x1p-8 * 1.05);
}

TEST(GroupNormDevice, GivesParametersGradientsOfTheirType) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  Tensors t = make_tensors({2, 64, 8, 8}, at::kBFloat16);
  t.weight = t.weight.to(at::kBFloat16);
  const Results found = ours(t, 32, true, Layout::kChannelsLast);
  EXPECT_EQ(found.weight.scalar_type(), at::kBFloat16);
  EXPECT_EQ(found.bias.scalar_type(), at::kFloat);
  expect_near(found, exact(t, 32, true), 0x1p-8);
}

TEST(GroupNormDevice, RefusesASecondDerivative) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  const Tensors t = make_tensors({1, 4, 3, 3}, at::kFloat);
  const at::Tensor x = t.x.cuda().requires_grad_(true);
  const at::Tensor grad = t.grad.cuda().requires_grad_(true);
  const at::Tensor out = group_norm_on_device({x, 2, t.weight.cuda(), t.bias.cuda(), kEps, true});
  EXPECT_THROW(torch::autograd::grad({out}, {x}, {grad}, std::nullopt, /*create_graph=*/true),
               Error);
}

}  // namespace
}  // namespace sdtune
