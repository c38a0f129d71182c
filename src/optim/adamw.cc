#include "optim/adamw.h"

namespace sdtune {

AdamW::AdamW(std::vector<ParameterGroup> groups, AdamWOptions options)
    : TensorOptimizer(std::move(groups)), options_(options) {
  for (const ParameterGroup& group : groups_) states_.emplace_back(group.parameters.size());
}

AdamW::State& AdamW::state_of(size_t group, size_t index) {
  State& state = states_[group][index];
  if (state.step.defined()) return state;
  const at::Tensor& parameter = groups_[group].parameters[index].tensor;
  state.exp_avg = at::zeros_like(parameter, parameter.options().requires_grad(false));
  state.exp_avg_sq = at::zeros_like(parameter, parameter.options().requires_grad(false));
  state.step = at::zeros({}, at::TensorOptions(at::kFloat).device(parameter.device()));
  return state;
}

void AdamW::update_tensor(size_t group, size_t index, const UpdateMoment& moment) {
  const at::NoGradGuard no_grad;
  const at::Tensor& parameter = groups_[group].parameters[index].tensor;
  State& state = state_of(group, index);
  state.step += 1;
  at::_fused_adamw_(parameter, parameter.grad(), state.exp_avg, state.exp_avg_sq, {}, state.step,
                    groups_[group].learning_rate * moment.lr_factor, options_.beta1, options_.beta2,
                    options_.weight_decay, options_.eps, /*amsgrad=*/false, /*maximize=*/false);
}

void AdamW::visit_state(const StateVisitor& visitor) {
  for (size_t g = 0; g < groups_.size(); ++g) {
    for (size_t i = 0; i < states_[g].size(); ++i) {
      const std::string& name = groups_[g].parameters[i].name;
      State& state = state_of(g, i);
      visitor(name + ".exp_avg", state.exp_avg);
      visitor(name + ".exp_avg_sq", state.exp_avg_sq);
      visitor(name + ".step", state.step);
    }
  }
}

}  // namespace sdtune
