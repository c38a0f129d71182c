#include "base/error.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace sdtune {

Error::Error(std::string what, std::string where, std::string hint)
    : Error(1, std::move(what), std::move(where), std::move(hint)) {}

Error::Error(int exit_code, std::string what, std::string where, std::string hint)
    : std::runtime_error(what),
      where_(std::move(where)),
      hint_(std::move(hint)),
      exit_code_(exit_code) {}

UsageError::UsageError(std::string what, std::string where, std::string hint)
    : Error(2, std::move(what), std::move(where), std::move(hint)) {}

namespace {

// Insertions, deletions, substitutions and swaps of neighbours that turn a into b (optimal string
// alignment).
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, substituted});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

}  // namespace

std::string nearest_name(const std::string& name, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace sdtune
