#include "data/doctor_duplicates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <map>
#include <random>

#include "image/perceptual_hash.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// All with all, labels spread until they stand.
std::vector<Group> brute_force(const std::vector<uint64_t>& hashes) {
  std::vector<size_t> label(hashes.size());
  for (size_t i = 0; i < label.size(); ++i) label[i] = i;
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t a = 0; a < hashes.size(); ++a) {
      for (size_t b = 0; b < hashes.size(); ++b) {
        if (hash_distance(hashes[a], hashes[b]) > kNearDistance || label[a] >= label[b]) continue;
        label[b] = label[a];
        changed = true;
      }
    }
  }
  std::map<size_t, Group> groups;
  for (size_t i = 0; i < label.size(); ++i) groups[label[i]].push_back(i);
  std::vector<Group> result;
  for (const auto& [first, group] : groups) {
    if (group.size() > 1) result.push_back(group);
  }
  return result;
}

// Clouds around a few centres, so that distances from 0 to beyond the limit all occur.
RC_GTEST_PROP(NearGroups, EqualBruteForce, ()) {
  const auto centres = *rc::gen::nonEmpty(rc::gen::arbitrary<std::vector<uint64_t>>());
  const auto count = *rc::gen::inRange(0, 60);
  std::vector<uint64_t> hashes;
  for (int i = 0; i < count; ++i) {
    uint64_t hash = centres[static_cast<size_t>(*rc::gen::inRange<int>(0, std::ssize(centres)))];
    const int flips = *rc::gen::inRange(0, 5);
    for (int f = 0; f < flips; ++f) hash ^= uint64_t{1} << *rc::gen::inRange(0, 64);
    hashes.push_back(hash);
  }
  RC_ASSERT(near_groups(hashes) == brute_force(hashes));
}

TEST(NearGroups, TheLimitIsThreeBits) {
  const uint64_t hash = 0x0123456789abcdef;
  EXPECT_THAT(near_groups(std::vector<uint64_t>{hash, hash ^ 0x8000000100008000}),
              ElementsAre(ElementsAre(0, 1)));
  EXPECT_THAT(near_groups(std::vector<uint64_t>{hash, hash ^ 0x8000000100008001}), IsEmpty());
  EXPECT_THAT(near_groups({}), IsEmpty());
}

// All with all would be 5,000,000,000 comparisons; this has to end within the test's patience.
TEST(NearGroups, AHundredThousandHashes) {
  std::mt19937_64 random(1);
  std::vector<uint64_t> hashes(100'000);
  for (uint64_t& hash : hashes) hash = random();
  hashes[99'999] = hashes[5] ^ 0b1010;
  EXPECT_THAT(near_groups(hashes), ElementsAre(ElementsAre(5, 99'999)));
  std::fill(hashes.begin(), hashes.end(), 7);
  EXPECT_EQ(near_groups(hashes).at(0).size(), hashes.size());
}

TEST(EqualFiles, GroupsByBytes) {
  const TestFolder folder;
  folder.write("a", "one");
  folder.write("b", "two");
  folder.write("c", "one");
  folder.write("d", "longer");
  folder.write("e", "");
  folder.write("f", "");
  const std::vector<std::filesystem::path> files = {folder / "a",   folder / "b", folder / "c",
                                                    folder / "d",   folder / "e", folder / "f",
                                                    folder / "gone"};
  EXPECT_THAT(equal_files(files, 2), ElementsAre(ElementsAre(0, 2)));
}

}  // namespace
}  // namespace sdtune
