#include "kernels/stochastic_round.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "kernels/load_cuda.h"

namespace sdtune {
namespace {

at::Tensor rounded(const at::Tensor& value, uint64_t key) {
  at::Tensor out = at::empty_like(value, value.options().dtype(at::kBFloat16));
  store_rounded(out, value, key);
  return out;
}

TEST(StochasticRound, IsRightOnAverageAndNeverFurtherThanTheNeighbours) {
  // bf16 has 7 bits behind the point: between 1 and 1 + 2^-7.
  constexpr int64_t kCount = 1 << 20;
  for (const double share : {0.0625, 0.25, 0.5, 0.9}) {
    const auto exact = static_cast<float>(1 + share * 0x1p-7);
    const at::Tensor result = rounded(at::full({kCount}, exact), 42).to(at::kDouble);
    const at::Tensor up = result == 1 + 0x1p-7;
    EXPECT_TRUE(at::logical_or(up, result == 1).all().item<bool>());
    const double deviation = std::sqrt(share * (1 - share) / kCount);
    EXPECT_NEAR(up.to(at::kDouble).mean().item<double>(), share, 5 * deviation);
  }
}

TEST(StochasticRound, LeavesBf16ValuesInfinitiesAndNanAlone) {
  const float infinity = std::numeric_limits<float>::infinity();
  const at::Tensor kept = at::tensor({0.0f, -0.0f, 1.0f, -2.5f, infinity, -infinity});
  EXPECT_TRUE(rounded(kept, 1).to(at::kFloat).equal(kept));
  EXPECT_TRUE(std::isnan(rounded(at::tensor({std::nanf("")}), 1)[0].item<float>()));
}

TEST(StochasticRound, DependsOnTheKeyAndNotOnThreads) {
  at::Tensor value = at::rand({3 * 65536 + 17});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = rounded(value, 7);
  at::set_num_threads(4);
  EXPECT_TRUE(rounded(value, 7).equal(one));
  at::set_num_threads(threads);
  // Two keys agree where the draws happen to: on about two thirds for uniform places.
  for (const uint64_t other : {uint64_t{8}, uint64_t{7} | (uint64_t{1} << 32)}) {
    const double same = rounded(value, other).eq(one).to(at::kDouble).mean().item<double>();
    EXPECT_NEAR(same, 2.0 / 3, 0.02);
  }
}

TEST(StochasticRound, WritesIntoAnyLayout) {
  const at::Tensor value = at::rand({4, 6});
  const at::Tensor wide = at::full({4, 12}, 5.0, at::kBFloat16);
  const at::Tensor part = wide.slice(1, 0, 6);
  store_rounded(part, value, 3);
  EXPECT_TRUE(part.equal(rounded(value, 3)));
  EXPECT_TRUE(wide.slice(1, 6, 12).eq(5).all().item<bool>());
}

TEST(StochasticRound, RefusesOtherTypesAndShapes) {
  const at::Tensor value = at::rand({4});
  EXPECT_THROW(store_rounded(at::empty({4}, at::kHalf), value, 0), Error);
  EXPECT_THROW(store_rounded(at::empty({5}, at::kBFloat16), value, 0), Error);
}

TEST(StochasticRound, CudaRoundsAsTheCpuDoes) {
  if (!load_cuda()) GTEST_SKIP() << "no GPU";
  const at::Tensor value = at::randn({2 * 65536 + 5});
  EXPECT_TRUE(rounded(value.to(at::kCUDA), 99).cpu().equal(rounded(value, 99)));
}

}  // namespace
}  // namespace sdtune
