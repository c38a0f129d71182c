// The loss by bands of timesteps: how much noise a model copes with, which one number hides.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>

namespace sdtune {

// Bands of equal width over the 1000 timesteps.
class LossBands {
 public:
  static constexpr int kBands = 5;

  void add(int64_t timestep, double loss);  // a loss that is not finite is passed over
  double mean() const;                      // of all; NaN when there are none
  // [{"from": 0, "to": 199, "loss": …, "samples": …}, …]; null for the loss of an empty band.
  nlohmann::ordered_json to_json() const;
  void clear() { *this = {}; }

 private:
  std::array<double, kBands> sums_{};
  std::array<int64_t, kBands> counts_{};
};

}  // namespace sdtune
