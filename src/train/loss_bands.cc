#include "train/loss_bands.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "diffusion/noise_schedule.h"

namespace sdtune {

namespace {

constexpr int64_t kWidth = kTrainTimesteps / LossBands::kBands;

}  // namespace

void LossBands::add(int64_t timestep, double loss) {
  if (!std::isfinite(loss)) return;
  const auto band = static_cast<size_t>(timestep / kWidth);
  sums_.at(band) += loss;
  ++counts_.at(band);
}

double LossBands::mean() const {
  return std::accumulate(sums_.begin(), sums_.end(), 0.0) /
         static_cast<double>(std::accumulate(counts_.begin(), counts_.end(), int64_t{0}));
}

nlohmann::ordered_json LossBands::to_json() const {
  auto bands = nlohmann::ordered_json::array();
  for (size_t i = 0; i < kBands; ++i) {
    const auto from = static_cast<int64_t>(i) * kWidth;
    bands.push_back({{"from", from},
                     {"to", from + kWidth - 1},
                     {"loss", sums_[i] / static_cast<double>(counts_[i])},
                     {"samples", counts_[i]}});
  }
  return bands;
}

}  // namespace sdtune
