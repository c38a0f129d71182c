#include "kernels/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <random>
#include <vector>

#include "base/error.h"
#include "kernels/attention_cpu.h"

namespace sdtune {
namespace {

struct Case {
  at::Tensor q, k, v, grad;
};

struct Shape {
  int64_t batch, heads, queries, keys, width;
};

void PrintTo(const Shape& s, std::ostream* out) {
  *out << s.batch << " pictures, " << s.heads << " heads, " << s.queries << " queries, " << s.keys
       << " keys of " << s.width;
}

// As a layer makes them: heads side by side in each row.
Case random_case(const Shape& s, uint64_t seed, double scale = 1) {
  auto random = at::make_generator<at::CPUGeneratorImpl>(seed);
  const auto draw = [&](int64_t rows) {
    return at::randn({s.batch, rows, s.heads, s.width}, random).transpose(1, 2);
  };
  return {draw(s.queries) * scale, draw(s.keys) * scale, draw(s.keys), draw(s.queries)};
}

using Attend = at::Tensor (*)(const at::Tensor&, const at::Tensor&, const at::Tensor&);

at::Tensor by_torch(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return at::scaled_dot_product_attention(q, k, v);
}

// The result, then the gradients of q, k and v.
std::vector<at::Tensor> all_of(const Case& given, Attend attend) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& t : {given.q, given.k, given.v}) {
    leaves.push_back(t.detach().set_requires_grad(true));
  }
  const at::Tensor out = attend(leaves[0], leaves[1], leaves[2]);
  auto result = torch::autograd::grad({out}, leaves, {given.grad});
  result.insert(result.begin(), out.detach());
  return result;
}

// Against torch in double, as a part of the largest value of each.
void expect_right(const Case& given, double tolerance = 4e-6) {
  const Case wide = {given.q.to(at::kDouble), given.k.to(at::kDouble), given.v.to(at::kDouble),
                     given.grad.to(at::kDouble)};
  const auto found = all_of(given, attention), wanted = all_of(wide, by_torch);
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].sizes(), wanted[i].sizes());
    ASSERT_EQ(found[i].scalar_type(), at::kFloat);
    const at::Tensor off = (found[i].to(at::kDouble) - wanted[i]).abs().max();
    // What only rounding keeps from 0, as gradients of q where there is one key, has no largest.
    EXPECT_LE(off.item<double>(), tolerance * std::max(1.0, wanted[i].abs().max().item<double>()))
        << (i == 0 ? "result" : "gradient ") << i;
  }
}

TEST(Attention, EqualsTorchAtOddSizes) {
  std::mt19937_64 random(1);
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  for (uint64_t i = 0; i < 60; ++i) {
    const Shape shape = {draw(1, 3), draw(1, 3), draw(1, 300), draw(1, 600), draw(1, 90)};
    SCOPED_TRACE(testing::PrintToString(shape));
    expect_right(random_case(shape, i));
  }
}

TEST(Attention, EqualsTorchAtTheModelsSizes) {
  for (const Shape& shape : {Shape{1, 8, 1024, 1024, 40},
                             {1, 8, 1024, 77, 40},
                             {2, 8, 256, 256, 80},
                             {1, 8, 64, 227, 160},
                             {1, 20, 64, 64, 64},
                             {1, 1, 900, 900, 512}}) {
    SCOPED_TRACE(testing::PrintToString(shape));
    expect_right(random_case(shape, 7));
  }
}

TEST(Attention, TakesProductsThatOnlyTheLargestKeepsFinite) {
  // Products of some hundreds, whose last place is worth 6e-5 of a weight.
  constexpr double kTolerance = 2e-4;
  expect_right(random_case({1, 2, 130, 300, 24}, 3, 12), kTolerance);
  Case given = random_case({1, 1, 20, 100, 8}, 4);
  given.k.select(2, 99).fill_(200);  // the last key outweighs all that were added up
  expect_right(given, kTolerance);
}

TEST(Attention, WhatIsNoNumberStaysSo) {
  Case given = random_case({1, 1, 20, 30, 8}, 5);
  given.q.select(2, 3).fill_(NAN);
  const at::Tensor out = attention(given.q, given.k, given.v);
  EXPECT_TRUE(out.select(2, 3).isnan().all().item<bool>());
  EXPECT_EQ(out.isnan().sum().item<int64_t>(), 8);
}

TEST(Attention, TakesAnyStrides) {
  const Shape shape = {2, 3, 50, 40, 16};
  const Case plain = random_case(shape, 6);
  Case given = {plain.q.contiguous(), plain.k.contiguous(), plain.v.contiguous(),
                plain.grad.contiguous()};
  expect_right(given);
  given.q = at::cat({plain.q, plain.q}, 3).slice(3, 0, 32, 2);
  given.k = at::randn({2, 3, 16, 40}).transpose(2, 3);
  given.v = plain.v.slice(2, 0, 1).expand({2, 3, 40, 16});
  given.grad = at::ones({}).expand({2, 3, 50, 16});
  expect_right(given);
}

TEST(Attention, IsTheSameForAnyNumberOfThreads) {
  const Case given = random_case({1, 3, 1100, 150, 40}, 8);
  const int before = at::get_num_threads();
  const auto many = all_of(given, attention);
  at::set_num_threads(1);
  const auto one = all_of(given, attention);
  at::set_num_threads(before);
  for (size_t i = 0; i < many.size(); ++i) EXPECT_TRUE(at::equal(many[i], one[i])) << i;
}

TEST(Attention, WideTilesGiveTheSame) {
  const Case given = random_case({1, 1, 150, 300, 40}, 9);
  const at::Tensor q = given.q.contiguous(), k = given.k.contiguous(), v = given.v.contiguous();
  const at::Tensor grad = given.grad.contiguous();
  std::vector<at::Tensor> results[2];
  for (const GemmTile tile : {GemmTile::kNarrow, GemmTile::kWide}) {
    const HeadSizes sizes = {150, 300, 40, 0.158F, tile};
    const auto rows = [&](const at::Tensor& t) {
      return HeadRows<const float>{t.const_data_ptr<float>(), 40};
    };
    const auto writable = [&](const at::Tensor& t) {
      return HeadRows<float>{t.mutable_data_ptr<float>(), 40};
    };
    const at::Tensor out = at::empty_like(q), log_sums = at::empty({150});
    const at::Tensor gq = at::empty_like(q), gk = at::empty_like(k), gv = at::empty_like(v);
    std::vector<float> scratch(
        std::max(attention_forward_scratch(sizes), attention_backward_scratch(sizes)), NAN);
    attention_forward_cpu(
        {sizes, rows(q), rows(k), rows(v), writable(out), log_sums.mutable_data_ptr<float>()},
        scratch.data());
    std::fill(scratch.begin(), scratch.end(), NAN);
    attention_backward_cpu(
        {sizes, rows(grad), rows(q), rows(k), rows(v), rows(out), log_sums.const_data_ptr<float>(),
         writable(gq), writable(gk), writable(gv)},
        scratch.data());
    results[tile == GemmTile::kWide ? 1 : 0] = {out, log_sums, gq, gk, gv};
  }
  for (size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_TRUE(at::allclose(results[0][i], results[1][i], 1e-5, 1e-5)) << i;
  }
}

TEST(Attention, JoinsHeadsWithoutACopy) {
  if (!gemm_is_fast()) GTEST_SKIP() << "torch's attention lays out its result itself";
  const Case given = random_case({2, 4, 64, 77, 16}, 10);
  EXPECT_TRUE(attention(given.q, given.k, given.v).transpose(1, 2).is_contiguous());
  for (const at::Tensor& t : all_of(given, attention)) {
    EXPECT_TRUE(t.transpose(1, 2).is_contiguous());
  }
}

TEST(Attention, LeavesWhatItDoesNotKnowToTorch) {
  const Case given = random_case({1, 2, 30, 20, 8}, 11);
  EXPECT_EQ(has_own_attention(given.q, given.k, given.v), gemm_is_fast());
  for (const auto type : {at::kBFloat16, at::kHalf, at::kDouble}) {
    const at::Tensor q = given.q.to(type), k = given.k.to(type), v = given.v.to(type);
    EXPECT_FALSE(has_own_attention(q, k, v));
    EXPECT_TRUE(at::equal(attention(q, k, v), by_torch(q, k, v)));
  }
  EXPECT_FALSE(has_own_attention(given.q.select(0, 0), given.k, given.v));
  EXPECT_FALSE(has_own_attention(given.q, given.k, given.v.slice(2, 0, 19)));
  EXPECT_FALSE(has_own_attention(given.q, given.k, given.v.slice(3, 0, 7)));
}

TEST(Attention, RefusesASecondDerivative) {
  if (!gemm_is_fast()) GTEST_SKIP() << "torch's attention has one";
  const Case given = random_case({1, 1, 10, 10, 8}, 12);
  const at::Tensor q = given.q.detach().set_requires_grad(true);
  const at::Tensor out = attention(q, given.k, given.v);
  EXPECT_THROW(torch::autograd::grad({out.sum()}, {q}, {}, std::nullopt, /*create_graph=*/true),
               Error);
}

}  // namespace
}  // namespace sdtune
