#include "kernels/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
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

// Against torch in double, as a part of the largest value of each; of gradients that are 0 but for
// rounding, where there is one key, as a part of 1.
void expect_right(const Case& given, double tolerance = 4e-6) {
  const Case wide = {given.q.to(at::kDouble), given.k.to(at::kDouble), given.v.to(at::kDouble),
                     given.grad.to(at::kDouble)};
  const auto found = all_of(given, attention), wanted = all_of(wide, by_torch);
  const double least = given.k.size(2) == 1 ? 1 : 1e-3;
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].sizes(), wanted[i].sizes());
    ASSERT_EQ(found[i].scalar_type(), at::kFloat);
    const at::Tensor off = (found[i].to(at::kDouble) - wanted[i]).abs().max();
    EXPECT_LE(off.item<double>(), tolerance * std::max(least, wanted[i].abs().max().item<double>()))
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

TEST(Attention, EqualsTorchAroundItsBlocks) {
  std::mt19937_64 random(2);
  const auto one_of = [&](const std::vector<int64_t>& values) {
    return values[std::uniform_int_distribution<size_t>(0, values.size() - 1)(random)];
  };
  const std::vector<int64_t> rows = {1,  15,  16,  17,  47,  48,  49,  95,  96, 97,
                                     98, 127, 128, 129, 255, 256, 257, 511, 513};
  const std::vector<int64_t> widths = {1, 4, 5, 6, 7, 8, 9, 16, 17};
  for (uint64_t i = 0; i < 60; ++i) {
    const Shape shape = {1, 2, i < rows.size() ? rows[i] : one_of(rows), one_of(rows),
                         i < widths.size() ? widths[i] : one_of(widths)};
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

TEST(Attention, ThousandsOfEqualKeysAddUp) {
  const Case given = {at::zeros({1, 1, 1, 8}), at::zeros({1, 1, 10'000, 8}),
                      at::full({1, 1, 10'000, 8}, 0.1), at::ones({1, 1, 1, 8})};
  expect_right(given, 2e-6);
}

TEST(Attention, OneKeyHasAWeightOfOneInBothPasses) {
  const Case given = random_case({1, 1, 50, 1, 40}, 13, 10);  // products of some thousands
  const auto found = all_of(given, attention);
  EXPECT_TRUE(at::allclose(found[3], given.grad.sum(2, true), 1e-5, 1e-5));
}

TEST(Attention, WhatIsNoNumberStaysSo) {
  const Case given = random_case({1, 1, 20, 130, 8}, 5);
  const auto spoilt = [](const at::Tensor& t, int64_t row) {
    at::Tensor result = t.clone();
    result.select(2, row).fill_(NAN);
    return result;
  };
  const at::Tensor of_query = attention(spoilt(given.q, 3), given.k, given.v);
  EXPECT_TRUE(of_query.select(2, 3).isnan().all().item<bool>());
  EXPECT_EQ(of_query.isnan().sum().item<int64_t>(), 8);
  for (const auto& [k, v] : {std::pair(spoilt(given.k, 120), given.v),
                             {given.k, spoilt(given.v, 2)},
                             {given.k, spoilt(given.v, 120)}}) {
    EXPECT_TRUE(attention(given.q, k, v).isnan().all().item<bool>());
    const auto gradients = all_of({given.q, k, v, given.grad}, attention);
    EXPECT_TRUE(gradients[1].isnan().all().item<bool>());
  }
}

TEST(Attention, ComputesOnlyTheGradientsThatAreAskedFor) {
  const Case given = random_case({1, 2, 30, 20, 8}, 14);
  const auto all = all_of(given, attention);
  for (int asked = 1; asked < 8; ++asked) {
    std::vector<at::Tensor> leaves = {given.q.detach(), given.k.detach(), given.v.detach()};
    for (int i = 0; i < 3; ++i) leaves[i].set_requires_grad((asked >> i & 1) != 0);
    attention(leaves[0], leaves[1], leaves[2]).backward(given.grad);
    for (int i = 0; i < 3; ++i) {
      ASSERT_EQ(leaves[i].grad().defined(), leaves[i].requires_grad()) << asked;
      if (!leaves[i].requires_grad()) continue;
      EXPECT_TRUE(at::equal(leaves[i].grad(), all[i + 1])) << asked;
    }
  }
}

TEST(Attention, KeepsNothingOnceItsGraphIsGone) {
  const Case given = random_case({1, 2, 30, 20, 8}, 15);
  c10::weak_intrusive_ptr<at::TensorImpl> kept(given.q.getIntrusivePtr());
  {
    const at::Tensor q = given.q.detach().set_requires_grad(true);
    const at::Tensor out = attention(q, given.k, given.v);
    kept = c10::weak_intrusive_ptr<at::TensorImpl>(out.getIntrusivePtr());
    EXPECT_FALSE(kept.expired());
  }
  EXPECT_TRUE(kept.expired());
}

TEST(Attention, TakesChangesInPlaceOfItsResult) {
  const Case given = random_case({1, 2, 30, 20, 8}, 16);
  const at::Tensor q = given.q.detach().set_requires_grad(true);
  EXPECT_NO_THROW(attention(q, given.k, given.v).add_(1));
  EXPECT_NO_THROW(attention(given.q, given.k, given.v).add_(q));
}

TEST(Attention, TakesAnyStrides) {
  const Shape shape = {2, 3, 50, 40, 16};
  const Case plain = random_case(shape, 6);
  Case given = {plain.q.contiguous(), plain.k.contiguous(), plain.v.contiguous(),
                plain.grad.contiguous()};
  expect_right(given);
  given.q = at::cat({plain.q, plain.q}, 3).slice(3, 0, 32, 2);
  given.k = at::randn({2, 3, 16, 40}).transpose(2, 3);
  given.v = plain.v.slice(1, 0, 1).expand({2, 3, 40, 16});
  given.grad = at::ones({}).expand({2, 3, 50, 16});
  expect_right(given);
}

TEST(Attention, IsTheSameForAnyNumberOfThreads) {
  const Case given = random_case({1, 3, 1100, 150, 40}, 8);
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  const auto many = all_of(given, attention);
  at::set_num_threads(1);
  const auto one = all_of(given, attention);
  at::set_num_threads(before);
  for (size_t i = 0; i < many.size(); ++i) EXPECT_TRUE(at::equal(many[i], one[i])) << i;
}

// Memory of exactly that size, full of what is no number, behind which a guard stands.
class Scratch {
 public:
  explicit Scratch(int64_t floats) : values_(floats + kGuard, NAN) {
    std::fill_n(values_.end() - kGuard, kGuard, kMark);
  }
  ~Scratch() {
    EXPECT_EQ(std::count(values_.end() - kGuard, values_.end(), kMark), kGuard) << "overrun";
  }
  float* data() { return values_.data(); }

 private:
  static constexpr int64_t kGuard = 8192;
  static constexpr float kMark = 12345.5F;
  std::vector<float> values_;
};

// Result, logarithms of sums and gradients of one dense head.
std::vector<at::Tensor> of_one_head(const Shape& shape, GemmTile tile) {
  const Case given = random_case(shape, 9);
  const HeadSizes sizes = {shape.queries, shape.keys, shape.width, 0.158F, tile};
  const auto rows = [&](const at::Tensor& t) {
    return HeadRows<const float>{t.const_data_ptr<float>(), shape.width};
  };
  const auto writable = [&](const at::Tensor& t) {
    return HeadRows<float>{t.mutable_data_ptr<float>(), shape.width};
  };
  const at::Tensor out = at::empty_like(given.q), log_sums = at::empty({shape.queries});
  const at::Tensor gq = at::empty_like(given.q), gk = at::empty_like(given.k);
  const at::Tensor gv = at::empty_like(given.v);
  attention_forward_cpu({sizes, rows(given.q), rows(given.k), rows(given.v), writable(out),
                         log_sums.mutable_data_ptr<float>()},
                        Scratch(attention_forward_scratch(sizes)).data());
  attention_backward_cpu(
      {sizes, rows(given.grad), rows(given.q), rows(given.k), rows(given.v), rows(out),
       log_sums.const_data_ptr<float>(), writable(gq), writable(gk), writable(gv)},
      Scratch(attention_backward_scratch(sizes)).data());
  return {out, log_sums, gq, gk, gv};
}

TEST(Attention, WideTilesGiveTheSameWithinTheirMemory) {
  for (const Shape& shape : {Shape{1, 1, 150, 300, 40},
                             {1, 1, 1, 1, 1},
                             {1, 1, 49, 97, 7},
                             {1, 1, 129, 257, 17},
                             {1, 1, 64, 96, 16}}) {
    SCOPED_TRACE(testing::PrintToString(shape));
    const auto narrow = of_one_head(shape, GemmTile::kNarrow);
    const auto wide = of_one_head(shape, GemmTile::kWide);
    for (size_t i = 0; i < narrow.size(); ++i) {
      EXPECT_TRUE(at::allclose(narrow[i], wide[i], 1e-5, 1e-5)) << i;
    }
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
  const auto twice = [](const at::Tensor& t, int64_t dim) { return at::cat({t, t}, dim); };
  EXPECT_FALSE(has_own_attention(twice(given.q, 0), given.k, given.v));
  EXPECT_FALSE(has_own_attention(twice(given.q, 1), given.k, given.v));
  EXPECT_FALSE(has_own_attention(given.q.slice(2, 0, 0), given.k, given.v));
  EXPECT_FALSE(has_own_attention(given.q, given.k.slice(2, 0, 0), given.v.slice(2, 0, 0)));
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
