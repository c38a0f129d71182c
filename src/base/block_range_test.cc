#include "base/block_range.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "base/philox.h"
#include "base/system.h"

namespace sdtune {
namespace {

constexpr uint64_t kMegabyte = uint64_t{1} << 20;

struct Block {
  char* data;
  uint64_t size;
  char pattern;
};

void fill(Block& block, char pattern) {
  block.pattern = pattern;
  std::memset(block.data, pattern, block.size);
}

bool is_intact(const Block& block) {
  return std::all_of(block.data, block.data + block.size,
                     [&](char byte) { return byte == block.pattern; });
}

bool overlaps(const Block& a, const Block& b) {
  return a.data < b.data + b.size && b.data < a.data + a.size;
}

// Takes and gives back at random, and checks each block against all others.
void churn(BlockRange& range, uint64_t seed, int rounds) {
  Random random(seed, Draw::kNoise, 0, 0);
  std::vector<Block> blocks;
  for (int round = 0; round < rounds; ++round) {
    if (!blocks.empty() && random.next() % 2 == 0) {
      std::swap(blocks[random.next() % blocks.size()], blocks.back());
      ASSERT_TRUE(is_intact(blocks.back()));
      range.give_back(blocks.back().data);
      blocks.pop_back();
      continue;
    }
    const uint64_t size = 1 + random.next() % (random.next() % 8 == 0 ? 5 * kMegabyte : 50'000);
    Block block{static_cast<char*>(range.take(size)), size, 0};
    if (block.data == nullptr) continue;
    ASSERT_EQ(reinterpret_cast<uint64_t>(block.data) % BlockRange::kAlignment, 0);
    ASSERT_TRUE(range.holds(block.data) && range.holds(block.data + size - 1));
    for (const Block& other : blocks) ASSERT_FALSE(overlaps(block, other));
    fill(block, static_cast<char>(random.next()));
    blocks.push_back(block);
  }
  for (const Block& block : blocks) {
    ASSERT_TRUE(is_intact(block));
    range.give_back(block.data);
  }
}

TEST(BlockRange, BlocksAreApartAndKeepTheirContents) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    BlockRange range(64 * kMegabyte);
    churn(range, seed, 3000);
    EXPECT_EQ(range.bytes_taken(), 0);
  }
}

TEST(BlockRange, ServesSeveralThreads) {
  BlockRange range(256 * kMegabyte);
  std::vector<std::thread> threads;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&range, seed] { churn(range, seed, 2000); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(range.bytes_taken(), 0);
}

TEST(BlockRange, JoinsNeighboursInAnyOrder) {
  BlockRange range(16 * kMegabyte);
  const uint64_t quarter = 4 * kMegabyte;
  int order[] = {0, 1, 2, 3};
  do {
    void* blocks[4];
    for (void*& block : blocks) block = range.take(quarter);
    for (const int i : order) range.give_back(blocks[i]);
    void* whole = range.take(4 * quarter);
    ASSERT_NE(whole, nullptr);
    range.give_back(whole);
  } while (std::next_permutation(std::begin(order), std::end(order)));
}

TEST(BlockRange, TakesTheSmallestHoleThatFits) {
  BlockRange range(64 * kMegabyte);
  void* large = range.take(8 * kMegabyte);
  void* wall = range.take(kMegabyte);
  void* small = range.take(4 * kMegabyte);
  void* end = range.take(kMegabyte);
  range.give_back(large);
  range.give_back(small);
  EXPECT_EQ(range.take(3 * kMegabyte), small);
  EXPECT_EQ(range.take(5 * kMegabyte), large);
  EXPECT_NE(wall, end);
}

TEST(BlockRange, HasNothingBeyondItsSize) {
  BlockRange range(16 * kMegabyte);
  EXPECT_EQ(range.take(17 * kMegabyte), nullptr);
  EXPECT_EQ(range.take(~uint64_t{0}), nullptr);
  void* most = range.take(15 * kMegabyte);
  EXPECT_NE(most, nullptr);
  EXPECT_EQ(range.take(2 * kMegabyte), nullptr);
  EXPECT_NE(range.take(0), range.take(0));
  EXPECT_FALSE(range.holds(&range));
}

// As a training step does: much that lives shortly, some that lives across.
void run_pattern(BlockRange& range) {
  std::vector<void*> activations, gradients;
  for (uint64_t i = 1; i <= 20; ++i) activations.push_back(range.take(i * kMegabyte / 2));
  while (!activations.empty()) {
    gradients.push_back(range.take((1 + gradients.size() % 5) * kMegabyte));
    range.give_back(activations.back());
    activations.pop_back();
  }
  for (void* gradient : gradients) range.give_back(gradient);
}

TEST(BlockRange, ARepeatedPatternTouchesNothingNew) {
  BlockRange range(4096 * kMegabyte);
  run_pattern(range);
  run_pattern(range);
  const uint64_t kept = range.bytes_kept();
  for (int round = 0; round < 1000; ++round) run_pattern(range);
  EXPECT_EQ(range.bytes_kept(), kept);
}

TEST(BlockRange, KeepsLittleMoreThanWasEverTaken) {
  BlockRange range(8192 * kMegabyte);
  uint64_t most = 0;
  // Each round's blocks are too large for the holes that the rounds before left.
  for (uint64_t round = 1; round <= 6; ++round) {
    std::vector<void*> blocks;
    for (int i = 0; i < 16; ++i) blocks.push_back(range.take(2 * round * BlockRange::kPage));
    most = std::max(most, range.bytes_taken());
    EXPECT_LE(range.bytes_kept(), BlockRange::most_kept(most));
    for (size_t i = 0; i < blocks.size(); i += 2) range.give_back(blocks[i]);
  }
}

int64_t page_faults() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

TEST(BlockRange, AFreedBlockServesAgainWithoutPageFaults) {
  constexpr uint64_t kSize = 64 * kMegabyte;
  BlockRange range(1024 * kMegabyte);
  for (int round = 0; round < 3; ++round) {
    void* block = range.take(kSize);
    const int64_t before = page_faults();
    std::memset(block, round, kSize);
    if (round > 0) {
      EXPECT_LT(page_faults() - before, 16);
    }
    range.give_back(block);
  }
}

TEST(BlockRange, ReleasesWhatIsFreeAndKeepsWhatIsNot) {
  constexpr uint64_t kSize = 128 * kMegabyte;
  BlockRange range(1024 * kMegabyte);
  Block free{static_cast<char*>(range.take(kSize)), kSize, 0};
  Block kept{static_cast<char*>(range.take(kMegabyte)), kMegabyte, 0};
  fill(free, 1);
  fill(kept, 2);
  range.give_back(free.data);
  const uint64_t before = resident_bytes();
  EXPECT_GE(range.bytes_kept(), kSize);
  range.release_free_memory();
  EXPECT_LE(range.bytes_kept(), kMegabyte + 2 * BlockRange::kPage);
  EXPECT_LT(resident_bytes() + kSize / 2, before);
  EXPECT_TRUE(is_intact(kept));
  EXPECT_EQ(range.take(kSize), free.data);
}

}  // namespace
}  // namespace sdtune
