#include "kernels/square_sum.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/load_cuda.h"

namespace sdtune {
namespace {

// In fp64, one tensor after the other.
double exact(const std::vector<at::Tensor>& tensors) {
  double sum = 0;
  for (const at::Tensor& tensor : tensors) {
    sum += tensor.to(at::kDouble).square().sum().item<double>();
  }
  return sum;
}

TEST(SquareSum, IsExactForAnySizesTypesAndLayouts) {
  std::vector<at::Tensor> tensors = {at::randn({}), at::empty({0}), at::randn({31}),
                                     at::randn({3, 65536}) * 1e-20, at::randn({70'001}) * 1e15};
  for (const auto type : {at::kBFloat16, at::kHalf}) tensors.push_back(at::randn({1000}).to(type));
  tensors.push_back(at::randn({2, 8, 5, 5}).contiguous(at::MemoryFormat::ChannelsLast));
  tensors.push_back(at::randn({40, 40}).slice(1, 3, 17));
  for (const at::Tensor& tensor : tensors) {
    EXPECT_NEAR(square_sum({tensor}), exact({tensor}), 1e-13 * exact({tensor}));
  }
  EXPECT_NEAR(square_sum(tensors), exact(tensors), 1e-13 * exact(tensors));
  EXPECT_EQ(square_sum({}), 0);
}

TEST(SquareSum, HasTheSameBitsForAnyNumberOfThreads) {
  const std::vector<at::Tensor> tensors = {at::randn({500'000}), at::randn({77}),
                                           at::randn({123'457})};
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const double one = square_sum(tensors);
  for (const int count : {2, 3, 7}) {
    at::set_num_threads(count);
    EXPECT_EQ(square_sum(tensors), one);
  }
  at::set_num_threads(threads);
}

TEST(SquareSum, IsFiniteExactlyWhereAllElementsAre) {
  const at::Tensor large = at::full({100'000}, std::numeric_limits<float>::max());
  EXPECT_TRUE(std::isfinite(square_sum({large})));
  for (const float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    at::Tensor x = at::zeros({100'000});
    x[99'999].fill_(bad);
    EXPECT_FALSE(std::isfinite(square_sum({large, x})));
  }
}

TEST(SquareSum, RefusesOtherTypes) {
  EXPECT_FALSE(takes_square_sum({at::zeros({1}, at::kDouble)}));
  EXPECT_THROW(square_sum({at::zeros({1}, at::kDouble)}), c10::Error);
}

TEST(SquareSum, OnCudaAsOnTheCpu) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  std::vector<at::Tensor> tensors = {at::randn({}), at::empty({0}), at::randn({3, 65536}) * 1e-20,
                                     at::randn({70'001}) * 1e15};
  for (int64_t size = 1; size < 400; ++size) tensors.push_back(at::randn({size}));
  for (const auto type : {at::kBFloat16, at::kHalf}) {
    tensors.push_back(at::randn({10'001}).to(type));
  }
  tensors.push_back(at::randn({40, 40}).slice(1, 3, 17));
  std::vector<at::Tensor> there;
  for (const at::Tensor& tensor : tensors) there.push_back(tensor.cuda());
  // One that starts between two vectors.
  tensors.push_back(tensors.back().flatten().slice(0, 1));
  there.push_back(there.back().flatten().slice(0, 1));
  ASSERT_TRUE(takes_square_sum_on_device(there));
  const at::Tensor sum = square_sum_on_device(there);
  EXPECT_TRUE(sum.is_cuda());
  EXPECT_NEAR(sum.item<double>(), exact(tensors), 1e-13 * exact(tensors));
  EXPECT_EQ(square_sum_on_device(there).item<double>(), sum.item<double>());
}

TEST(SquareSum, IsFiniteOnCudaExactlyWhereAllElementsAre) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  const at::Tensor large = at::full({100'000}, std::numeric_limits<float>::max()).cuda();
  EXPECT_TRUE(std::isfinite(square_sum_on_device({large}).item<double>()));
  for (const float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    at::Tensor x = at::zeros({100'000});
    x[99'999].fill_(bad);
    EXPECT_FALSE(std::isfinite(square_sum_on_device({large, x.cuda()}).item<double>()));
  }
}

}  // namespace
}  // namespace sdtune
