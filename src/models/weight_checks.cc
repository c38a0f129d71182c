#include "models/weight_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace sdtune {
namespace {

constexpr size_t kListed = 5;

}  // namespace

void refuse_shape(const WeightFile& file, const TensorInfo& found,
                  std::span<const int64_t> expected, const std::string& hint) {
  throw Error(fmt::format("tensor \"{}\" has shape [{}], [{}] was expected", found.name,
                          fmt::join(found.shape, ", "), fmt::join(expected, ", ")),
              file.path().string(), hint);
}

void check_floating(const WeightFile& file, const TensorInfo& found, const std::string& hint) {
  if (dtype_is_floating(found.dtype)) return;
  throw Error(fmt::format("tensor \"{}\" holds {} numbers; a weight must be floating", found.name,
                          dtype_name(found.dtype)),
              file.path().string(), hint);
}

void check_none_missing(const WeightFile& file, std::vector<std::string> missing,
                        const std::string& hint) {
  if (missing.empty()) return;
  const size_t total = missing.size();
  missing.resize(std::min(total, kListed));
  throw Error(fmt::format("{} tensor{} missing: {}{}", total, total == 1 ? " is" : "s are",
                          fmt::join(missing, ", "), total > kListed ? ", …" : ""),
              file.path().string(), hint);
}

}  // namespace sdtune
