#include "data/doctor_duplicates.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <unordered_map>

#include "base/error.h"
#include "base/hash.h"
#include "data/doctor_work.h"
#include "data/image_index.h"
#include "image/perceptual_hash.h"

namespace sdtune {
namespace {

constexpr int kBands = kNearDistance + 1;
constexpr int kBandBits = 64 / kBands;
constexpr uint64_t kBandMask = (uint64_t{1} << kBandBits) - 1;

// Disjoint sets of indices (Tarjan's union-find with path halving).
class Sets {
 public:
  explicit Sets(size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), size_t{0});
  }
  size_t find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(size_t a, size_t b) { parent_[find(a)] = find(b); }

 private:
  std::vector<size_t> parent_;
};

// Sorts members into groups of two and more.
template <class Keys>
std::vector<Group> groups_of(const Keys& members) {
  std::vector<Group> groups;
  for (const auto& [key, group] : members) {
    if (group.size() > 1) groups.push_back(group);
  }
  std::sort(groups.begin(), groups.end());
  return groups;
}

void join_within_band(const std::vector<uint64_t>& hashes, int band, Sets& sets) {
  std::unordered_map<uint64_t, std::vector<size_t>> sharing;
  for (size_t i = 0; i < hashes.size(); ++i) {
    sharing[hashes[i] >> (band * kBandBits) & kBandMask].push_back(i);
  }
  for (const auto& [bits, members] : sharing) {
    for (size_t a = 0; a < members.size(); ++a) {
      for (size_t b = a + 1; b < members.size(); ++b) {
        if (hash_distance(hashes[members[a]], hashes[members[b]]) <= kNearDistance) {
          sets.join(members[a], members[b]);
        }
      }
    }
  }
}

}  // namespace

std::vector<Group> near_groups(std::span<const uint64_t> hashes) {
  // Equal hashes first: thousands of one value would otherwise be compared pair by pair.
  std::vector<uint64_t> values(hashes.begin(), hashes.end());
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  Sets sets(values.size());
  for (int band = 0; band < kBands; ++band) join_within_band(values, band, sets);

  std::unordered_map<size_t, Group> members;
  for (size_t i = 0; i < hashes.size(); ++i) {
    const auto place = std::lower_bound(values.begin(), values.end(), hashes[i]);
    members[sets.find(static_cast<size_t>(place - values.begin()))].push_back(i);
  }
  return groups_of(members);
}

std::vector<Group> equal_files(const std::vector<std::filesystem::path>& files, int threads) {
  std::map<int64_t, Group> by_length;
  for (size_t i = 0; i < files.size(); ++i) {
    const auto stamp = stamp_of(files[i]);
    if (stamp && stamp->bytes > 0) by_length[stamp->bytes].push_back(i);
  }
  std::vector<size_t> candidates;
  for (const Group& group : groups_of(by_length)) {
    candidates.insert(candidates.end(), group.begin(), group.end());
  }
  std::vector<std::string> hashes(candidates.size());
  work_through(candidates.size(), {.label = "comparing files", .threads = threads}, [&](size_t i) {
    try {
      hashes[i] = hash_file(files[candidates[i]]);
    } catch (const Error&) {
      hashes[i].clear();  // told as unreadable by whoever decodes it
    }
  });
  std::map<std::string, Group> by_hash;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!hashes[i].empty()) by_hash[hashes[i]].push_back(candidates[i]);
  }
  return groups_of(by_hash);
}

}  // namespace sdtune
