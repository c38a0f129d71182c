#include "data/small_buckets.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <tuple>

namespace sdtune {
namespace {

using Counts = std::map<Size, int64_t>;

auto distance(Size a, Size b) {
  const auto ratio = [](Size size) { return static_cast<double>(size.width) / size.height; };
  const auto area = [](Size size) { return int64_t{size.width} * size.height; };
  return std::tuple(std::abs(ratio(a) - ratio(b)), std::abs(area(a) - area(b)), b);
}

// The nearest other bucket among those of at least `least` samples, or none.
std::optional<Size> nearest(const Counts& counts, Size from, int64_t least) {
  std::optional<Size> best;
  for (const auto& [size, count] : counts) {
    if (size == from || count < least) continue;
    if (!best || distance(from, size) < distance(from, *best)) best = size;
  }
  return best;
}

// Where each merged bucket went at first; that one may have been merged later.
std::map<Size, Size> merges(Counts counts, int64_t batch_size) {
  std::map<Size, Size> result;
  while (counts.size() > 1) {
    const auto smallest =
        std::min_element(counts.begin(), counts.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    if (smallest->second >= batch_size) break;
    const Size from = smallest->first;
    const auto full = nearest(counts, from, batch_size);
    const Size target = full ? *full : *nearest(counts, from, 0);
    counts[target] += smallest->second;
    counts.erase(from);
    result[from] = target;
  }
  return result;
}

}  // namespace

std::map<Size, std::optional<Size>> settle_small_buckets(const Counts& samples, int64_t batch_size,
                                                         SmallBuckets choice) {
  std::map<Size, Size> merged;
  if (choice == SmallBuckets::kMerge) merged = merges(samples, batch_size);
  std::map<Size, std::optional<Size>> result;
  for (const auto& [size, count] : samples) {
    Size end = size;
    for (auto next = merged.find(end); next != merged.end(); next = merged.find(end)) {
      end = next->second;
    }
    result[size] = end;
    if (choice == SmallBuckets::kDrop && count < batch_size) result[size] = std::nullopt;
  }
  return result;
}

}  // namespace sdtune
