#include "optim/optimizer.h"

#include "base/error.h"

namespace sdtune {

void Optimizer::update_tensor(size_t, size_t, const UpdateMoment&) {
  throw Error("this optimizer needs all gradients at once");
}

std::optional<double> Optimizer::adapted_rate(size_t) const { return std::nullopt; }

void Optimizer::keep_state_on_host() {
  throw UsageError("this optimizer needs the state of all tensors at once, on their device",
                   "--offload_optimizer", "leave it away or choose AdamW, AdamW8bit or Lion");
}

void Optimizer::zero_grad() {
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
  if (gradients.empty()) return at::zeros({}, at::kFloat);
  std::vector<at::Tensor> norms = at::_foreach_norm(gradients, 2);
  for (at::Tensor& norm : norms) norm = norm.to(at::kFloat);
  at::Tensor total = at::linalg_vector_norm(at::stack(norms));
  // A norm that is no number leaves the gradients as they are, so that the bad one can be found.
  if (max_norm > 0) {
    at::_foreach_mul_(gradients, (max_norm / (total + 1e-6)).clamp_max(1).nan_to_num_(1));
  }
  return total;
}

}  // namespace sdtune
