#include "optim/adamw.h"

namespace sdtune {

AdamW::AdamW(std::vector<ParameterGroup> groups, AdamWOptions options)
    : groups_(std::move(groups)), options_(options) {
  for (const ParameterGroup& group : groups_) states_.emplace_back(group.parameters.size());
}

void AdamW::make_state(State& state, const at::Tensor& parameter) const {
  if (state.step.defined()) return;
  state.exp_avg = at::zeros_like(parameter, parameter.options().requires_grad(false));
  state.exp_avg_sq = at::zeros_like(parameter, parameter.options().requires_grad(false));
  state.step = at::zeros({}, at::TensorOptions(at::kFloat).device(parameter.device()));
}

void AdamW::step(double factor) {
  const at::NoGradGuard no_grad;
  for (size_t g = 0; g < groups_.size(); ++g) {
    std::vector<at::Tensor> parameters, gradients, exp_avgs, exp_avg_sqs, steps;
    for (size_t i = 0; i < states_[g].size(); ++i) {
      const at::Tensor& parameter = groups_[g].parameters[i].tensor;
      if (!parameter.grad().defined()) continue;
      State& state = states_[g][i];
      make_state(state, parameter);
      parameters.push_back(parameter);
      gradients.push_back(parameter.grad());
      exp_avgs.push_back(state.exp_avg);
      exp_avg_sqs.push_back(state.exp_avg_sq);
      steps.push_back(state.step);
    }
    if (parameters.empty()) continue;
    at::_foreach_add_(steps, 1);
    at::_fused_adamw_(parameters, gradients, exp_avgs, exp_avg_sqs, {}, steps,
                      groups_[g].learning_rate * factor, options_.beta1, options_.beta2,
                      options_.weight_decay, options_.eps, /*amsgrad=*/false, /*maximize=*/false);
  }
}

void AdamW::zero_grad() {
  for (ParameterGroup& group : groups_) {
    for (NamedParameter& parameter : group.parameters) parameter.tensor.mutable_grad().reset();
  }
}

std::vector<at::Tensor> AdamW::gradients() const {
  std::vector<at::Tensor> all;
  for (const ParameterGroup& group : groups_) {
    for (const NamedParameter& parameter : group.parameters) {
      if (parameter.tensor.grad().defined()) all.push_back(parameter.tensor.grad());
    }
  }
  return all;
}

void AdamW::visit_state(const std::function<void(const std::string&, at::Tensor&)>& visitor) {
  for (size_t g = 0; g < groups_.size(); ++g) {
    for (size_t i = 0; i < states_[g].size(); ++i) {
      const NamedParameter& parameter = groups_[g].parameters[i];
      State& state = states_[g][i];
      make_state(state, parameter.tensor);
      visitor(parameter.name + ".exp_avg", state.exp_avg);
      visitor(parameter.name + ".exp_avg_sq", state.exp_avg_sq);
      visitor(parameter.name + ".step", state.step);
    }
  }
}

at::Tensor clip_gradients(const std::vector<at::Tensor>& gradients, double max_norm) {
  const at::NoGradGuard no_grad;
  if (gradients.empty()) return at::zeros({}, at::kFloat);
  std::vector<at::Tensor> norms = at::_foreach_norm(gradients, 2);
  for (at::Tensor& norm : norms) norm = norm.to(at::kFloat);
  at::Tensor total = at::linalg_vector_norm(at::stack(norms));
  if (max_norm > 0) at::_foreach_mul_(gradients, (max_norm / (total + 1e-6)).clamp_max(1));
  return total;
}

}  // namespace sdtune
