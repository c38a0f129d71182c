// An exponential moving average of the weights: steadier than the weights themselves, and often
// what is drawn with. The decay rises with the steps, as min(decay, (1 + step) / (10 + step)), so
// that early averages are not of the untrained weights (Diffusers' EMAModel).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "optim/optimizer.h"

namespace sdtune {

class Ema {
 public:
  // Begins as the parameters are. Averages are fp32, on the parameters' device or on the host.
  Ema(std::vector<NamedParameter> parameters, double decay, bool on_host);

  // After the optimizer step with this number, from 0.
  void update(int64_t step);

  // Name and average, in the order of the parameters.
  const std::vector<std::pair<std::string, at::Tensor>>& averages() const { return averages_; }

 private:
  std::vector<NamedParameter> parameters_;
  std::vector<std::pair<std::string, at::Tensor>> averages_;
  double decay_;
};

}  // namespace sdtune
