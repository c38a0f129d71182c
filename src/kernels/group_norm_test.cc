#include "kernels/group_norm.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace sdtune {
namespace {

constexpr double kEps = 1e-6;

struct Case {
  at::Tensor x, weight, bias;
  int64_t groups;

  GroupNormCall call(bool silu) const { return {x, groups, weight, bias, kEps, silu}; }
};

Case make_case(at::IntArrayRef shape, int64_t groups, at::ScalarType type, double mean = 0) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(7);
  const at::Tensor x = at::randn(shape, generator) * 2 + mean;
  return {x.to(type).contiguous(at::MemoryFormat::ChannelsLast),
          at::randn({shape[1]}, generator).to(type), at::randn({shape[1]}, generator).to(type),
          groups};
}

at::Tensor exact(const Case& c, bool silu) {
  const at::Tensor y = at::group_norm(c.x.to(at::kDouble).contiguous(), c.groups,
                                      c.weight.to(at::kDouble), c.bias.to(at::kDouble), kEps);
  return silu ? at::silu(y) : y;
}

double distance(const at::Tensor& found, const at::Tensor& wanted) {
  const at::Tensor apart = (found.to(at::kDouble) - wanted).abs() / wanted.abs().clamp_min(1);
  return apart.max().item<double>();
}

TEST(GroupNorm, EqualsTheExactOneForEachShapeAndType) {
  for (const auto& [shape, groups] : {std::pair{std::vector<int64_t>{1, 128, 70, 65}, 32},
                                      {{2, 8, 5, 3}, 4},
                                      {{3, 6, 1, 1}, 3},
                                      {{1, 33, 9, 2}, 11},
                                      {{2, 4, 64, 64}, 1}}) {
    for (const bool silu : {false, true}) {
      const Case single = make_case(shape, groups, at::kFloat);
      const at::Tensor out = group_norm_channels_last(single.call(silu));
      EXPECT_LT(distance(out, exact(single, silu)), 2e-6);
      EXPECT_TRUE(out.is_contiguous(at::MemoryFormat::ChannelsLast));
      const Case half = make_case(shape, groups, at::kBFloat16);
      EXPECT_LT(distance(group_norm_channels_last(half.call(silu)), exact(half, silu)), 0x1p-8);
    }
  }
}

// A mean of a hundred deviations leaves float sums of squares two digits of the variance.
TEST(GroupNorm, KeepsItsDigitsFarFromZero) {
  const Case far = make_case({1, 64, 96, 96}, 32, at::kFloat, 200);
  EXPECT_LT(distance(group_norm_channels_last(far.call(false)), exact(far, false)), 5e-5);
}

TEST(GroupNorm, IsTheSameForEveryThreadCount) {
  const Case c = make_case({1, 32, 120, 90}, 8, at::kFloat);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor alone = group_norm_channels_last(c.call(true));
  at::set_num_threads(3);
  const at::Tensor together = group_norm_channels_last(c.call(true));
  at::set_num_threads(threads);
  EXPECT_TRUE(alone.equal(together));
}

TEST(GroupNorm, LeavesOtherLayoutsTypesAndGradientsToTorch) {
  Case c = make_case({1, 8, 6, 6}, 4, at::kFloat);
  EXPECT_TRUE(takes_group_norm(c.call(true)));
  Case plain = c, twice = c;
  plain.x = c.x.contiguous();
  twice.x = c.x.to(at::kDouble);
  EXPECT_FALSE(takes_group_norm(plain.call(true)));
  EXPECT_FALSE(takes_group_norm(twice.call(true)));
  const Case one_pixel = make_case({2, 8, 1, 1}, 4, at::kFloat);
  EXPECT_FALSE(takes_group_norm(one_pixel.call(true)));
  c.weight.requires_grad_(true);
  EXPECT_FALSE(takes_group_norm(c.call(true)));
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(takes_group_norm(c.call(true)));
}

}  // namespace
}  // namespace sdtune
