#include "optim/ema.h"

#include <algorithm>

namespace sdtune {

Ema::Ema(std::vector<NamedParameter> parameters, double decay, bool on_host)
    : parameters_(std::move(parameters)), decay_(decay) {
  for (const NamedParameter& parameter : parameters_) {
    const at::Tensor weight = parameter.tensor.detach();
    const at::Device device = on_host ? at::Device(at::kCPU) : weight.device();
    averages_.emplace_back(parameter.name, weight.to(device, at::kFloat, false, /*copy=*/true));
  }
}

void Ema::update(int64_t step) {
  const at::NoGradGuard no_grad;
  const auto done = static_cast<double>(step);
  const double decay = std::min(decay_, (1 + done) / (10 + done));
  for (size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor& average = averages_[i].second;
    average.lerp_(parameters_[i].tensor.to(average.device(), at::kFloat), 1 - decay);
  }
}

}  // namespace sdtune
