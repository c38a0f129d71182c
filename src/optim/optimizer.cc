#include "optim/optimizer.h"

#include <cmath>

#include "base/error.h"
#include "kernels/square_sum.h"

namespace sdtune {

namespace {

at::Tensor norm_of(const std::vector<at::Tensor>& gradients) {
  if (takes_square_sum(gradients)) {
    return at::scalar_tensor(std::sqrt(square_sum(gradients)), at::kFloat);
  }
  if (takes_square_sum_on_device(gradients)) {
    return square_sum_on_device(gradients).sqrt().to(at::kFloat);
  }
  std::vector<at::Tensor> norms = at::_foreach_norm(gradients, 2);
  for (at::Tensor& norm : norms) norm = norm.to(at::kFloat);
  return at::linalg_vector_norm(at::stack(norms));
}

at::Tensor clip_factor(const at::Tensor& norm, double max_norm) {
  return (max_norm / (norm + 1e-6)).clamp_max(1).nan_to_num_(1);
}

at::Tensor clip_on_device(const std::vector<at::Tensor>& gradients, double max_norm,
                          at::Tensor& scale) {
  at::Tensor norm = norm_of(gradients);
  if (scale.defined()) norm = norm * scale;
  const at::Tensor factor = max_norm > 0 ? clip_factor(norm, max_norm) : at::ones_like(norm);
  // A product with 0 is 0, or NaN where the norm is not finite.
  scale = (scale.defined() ? scale * factor : factor) + 0 * norm;
  return norm;
}

}  // namespace

void Optimizer::update_tensor(size_t, size_t, const UpdateMoment&) {
  throw Error("this optimizer needs all gradients at once");
}

void Optimizer::forget_step() {
  for (size_t g = 0; g < groups_.size(); ++g) {
    for (size_t i = 0; i < groups_[g].parameters.size(); ++i) {
      if (groups_[g].parameters[i].tensor.grad().defined()) forget_update(g, i);
    }
  }
}

std::optional<double> Optimizer::adapted_rate(size_t) const { return std::nullopt; }

void Optimizer::keep_state_on_host() {
  throw UsageError("this optimizer needs the state of all tensors at once, on their device",
                   "--offload_optimizer", "leave it away or choose AdamW, AdamW8bit or Lion");
}

void Optimizer::zero_grad() {
  if (keeps_gradients_) {
    const at::NoGradGuard no_grad;
    const std::vector<at::Tensor> all = gradients();
    if (!all.empty()) at::_foreach_zero_(all);
    return;
  }
  for (ParameterGroup& group : groups_) {
    for (NamedParameter& parameter : group.parameters) parameter.tensor.mutable_grad().reset();
  }
}

std::vector<at::Tensor> Optimizer::gradients() const {
  std::vector<at::Tensor> all;
  for (const ParameterGroup& group : groups_) {
    for (const NamedParameter& parameter : group.parameters) {
      if (parameter.tensor.grad().defined()) all.push_back(parameter.tensor.grad());
    }
  }
  return all;
}

double Optimizer::rate_in_use(size_t group, double lr_factor) const {
  return adapted_rate(group).value_or(rate(group, {.lr_factor = lr_factor}));
}

double Optimizer::rate(size_t group, const UpdateMoment& moment) const {
  return groups_[group].learning_rate * (follows_schedule() ? moment.lr_factor : 1.0);
}

at::Tensor clip_gradients(const std::vector<at::Tensor>& gradients, double max_norm) {
  const at::NoGradGuard no_grad;
  at::Tensor norm = norm_of(gradients);
  if (max_norm <= 0 || gradients.empty()) return norm;
  const at::Tensor factor = clip_factor(norm, max_norm);
  const bool changes_nothing = factor.is_cpu() && factor.item<float>() == 1;
  if (!changes_nothing) at::_foreach_mul_(gradients, factor);
  return norm;
}

at::Tensor clip_gradients_for(const Optimizer& optimizer, const std::vector<at::Tensor>& gradients,
                              double max_norm, UpdateMoment& moment) {
  if (!optimizer.scales_gradients()) return clip_gradients(gradients, max_norm);
  const at::NoGradGuard no_grad;
  if (optimizer.takes_device_scale()) {
    return clip_on_device(gradients, max_norm, moment.device_scale);
  }
  at::Tensor norm = norm_of(gradients);
  if (max_norm > 0) moment.gradient_scale *= clip_factor(norm, max_norm).item<double>();
  return norm;
}

}  // namespace sdtune
