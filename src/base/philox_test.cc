#include "base/philox.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

namespace sdtune {
namespace {

using Counter = std::array<uint32_t, 4>;

// The known answers of Random123 for philox4x32-10.
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// A changed stream would silently change every run that is repeated or resumed.
TEST(Random, DrawsWhatItDrewInEveryVersion) {
  Random random(23, Draw::kNoise, 100, 3);
  std::vector<uint32_t> words(6);
  std::generate(words.begin(), words.end(), [&] { return random.next(); });
  EXPECT_EQ(words, (std::vector<uint32_t>{3172660618, 1145407973, 734032406, 2231118969, 86007035,
                                          2522307501}));
}

TEST(Random, IsAPureFunctionOfItsArguments) {
  Random first(7, Draw::kCaption, 1, 2, 3);
  Random again(7, Draw::kCaption, 1, 2, 3);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(first.next(), again.next());
}

TEST(Random, EveryArgumentChangesTheStream) {
  const auto first_words = [](uint64_t seed, Draw draw, uint64_t a, uint64_t b, uint64_t c) {
    Random random(seed, draw, a, b, c);
    const uint64_t high = random.next();
    return high << 32 | random.next();
  };
  std::set<uint64_t> seen;
  for (const uint64_t seed : {0ull, 1ull, 1ull << 32}) {
    for (const Draw draw : {Draw::kNoise, Draw::kTimestep}) {
      for (uint64_t a = 0; a < 5; ++a) {
        for (uint64_t b = 0; b < 5; ++b) {
          for (uint64_t c = 0; c < 5; ++c) seen.insert(first_words(seed, draw, a, b, c));
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), 3u * 2 * 5 * 5 * 5);
}

// Neighbours in step and sample must not resemble each other: their correlation stays within five
// standard errors of nothing.
TEST(Random, NeighbouringStreamsAreUncorrelated) {
  constexpr int kCount = 20000;
  const auto draw = [](uint64_t step, uint64_t sample) {
    std::vector<float> values(kCount);
    Random(1, Draw::kNoise, step, sample).fill_normal(values);
    return values;
  };
  const std::vector<float> base = draw(10, 0);
  for (const auto& [step, sample] : {std::pair{10, 1}, std::pair{11, 0}, std::pair{0, 10}}) {
    const std::vector<float> other = draw(step, sample);
    const double product = std::inner_product(base.begin(), base.end(), other.begin(), 0.0);
    EXPECT_LT(std::abs(product / kCount), 5 / std::sqrt(kCount)) << step << " " << sample;
  }
}

TEST(Random, NormalHasTheMomentsOfTheNormalDistribution) {
  constexpr int kCount = 400000;
  Random random(3, Draw::kPosterior);
  double sum = 0, squares = 0, cubes = 0, fourths = 0, lagged = 0, previous = 0;
  int beyond_three = 0;
  for (int i = 0; i < kCount; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
    cubes += x * x * x;
    fourths += x * x * x * x;
    lagged += x * previous;
    previous = x;
    beyond_three += std::abs(x) > 3;
  }
  // Bounds are five standard errors: sqrt(Var(x^k) / n).
  const double error = 5 / std::sqrt(kCount);
  EXPECT_NEAR(sum / kCount, 0, error);
  EXPECT_NEAR(squares / kCount, 1, error * std::sqrt(2));
  EXPECT_NEAR(cubes / kCount, 0, error * std::sqrt(15));
  EXPECT_NEAR(fourths / kCount, 3, error * std::sqrt(96));
  EXPECT_NEAR(lagged / kCount, 0, error);
  EXPECT_NEAR(beyond_three / double{kCount}, 0.0026998, 5 * std::sqrt(0.0027 / kCount));
}

TEST(Random, FillNormalEqualsOneByOne) {
  std::vector<float> values(101);
  Random(5, Draw::kNoise, 1).fill_normal(values);
  Random random(5, Draw::kNoise, 1);
  for (const float value : values) EXPECT_EQ(value, static_cast<float>(random.normal()));
}

TEST(Random, UniformFillsTheUnitInterval) {
  constexpr int kCount = 200000, kBins = 50;
  Random random(4, Draw::kAugment);
  std::vector<int> bins(kBins);
  for (int i = 0; i < kCount; ++i) {
    const double x = random.uniform();
    ASSERT_GE(x, 0);
    ASSERT_LT(x, 1);
    ++bins[static_cast<size_t>(x * kBins)];
  }
  double chi_squared = 0;
  for (const int count : bins)
    chi_squared += std::pow(count - kCount / kBins, 2) / (kCount / kBins);
  EXPECT_LT(chi_squared, 100);  // 49 degrees of freedom: beyond 100 once in 30,000 seeds
}

TEST(Random, BelowIsFair) {
  constexpr int kCount = 70000;
  Random random(9, Draw::kTimestep);
  std::vector<int> bins(7);
  for (int i = 0; i < kCount; ++i) ++bins.at(random.below(7));
  for (const int count : bins) EXPECT_NEAR(count, kCount / 7, 5 * std::sqrt(kCount / 7.0));
}

RC_GTEST_PROP(Random, BelowStaysBelow, (uint64_t seed, uint64_t bound)) {
  const uint64_t n = std::max<uint64_t>(1, bound);
  Random random(seed, Draw::kTimestep);
  for (int i = 0; i < 20; ++i) RC_ASSERT(random.below(n) < n);
}

TEST(Random, BelowReachesHugeBounds) {
  Random random(1, Draw::kTimestep);
  constexpr uint64_t kBound = (1ull << 63) + 1;  // nearly half of the raw draws are rejected
  uint64_t highest = 0;
  for (int i = 0; i < 200; ++i) {
    const uint64_t value = random.below(kBound);
    ASSERT_LT(value, kBound);
    highest = std::max(highest, value);
  }
  EXPECT_GT(highest, kBound / 10 * 9);
  EXPECT_EQ(random.below(1), 0u);
}

RC_GTEST_PROP(Random, ShuffleKeepsEveryItem, (uint64_t seed, const std::vector<int>& items)) {
  std::vector<int> shuffled = items;
  Random(seed, Draw::kEpochOrder).shuffle(shuffled);
  std::vector<int> expected = items;
  std::sort(expected.begin(), expected.end());
  std::sort(shuffled.begin(), shuffled.end());
  RC_ASSERT(shuffled == expected);
}

TEST(Random, ShuffleMakesEveryOrderEquallyOften) {
  constexpr int kCount = 24000;
  std::map<std::vector<int>, int> seen;
  for (int i = 0; i < kCount; ++i) {
    std::vector<int> items = {1, 2, 3, 4};
    Random(1, Draw::kEpochOrder, i).shuffle(items);
    ++seen[items];
  }
  ASSERT_EQ(seen.size(), 24u);
  for (const auto& [order, count] : seen)
    EXPECT_NEAR(count, kCount / 24, 5 * std::sqrt(kCount / 24.0));
}

}  // namespace
}  // namespace sdtune
