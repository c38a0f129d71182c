#include "optim/adamw.h"

#include "kernels/adamw_device.h"
#include "optim/optimizer_table.h"

namespace sdtune {

AdamW::AdamW(std::vector<ParameterGroup> groups, AdamWOptions options)
    : TensorOptimizer(std::move(groups)), options_(options), is_on_cpu_(are_on_cpu(groups_)) {}

void AdamW::add_state(const at::Tensor& parameter, ParameterState& state) const {
  state.add("exp_avg", state_zeros(parameter));
  state.add("exp_avg_sq", state_zeros(parameter));
  if (options_.amsgrad) state.add("max_exp_avg_sq", state_zeros(parameter));
  // With the weights, so that a step does not wait for their device.
  state.add("step", at::zeros({}, at::TensorOptions(at::kFloat).device(parameter.device())));
}

void AdamW::update_on_cpu(std::span<TensorUpdate> updates) const {
  std::vector<AdamWTensors> tensors;
  for (TensorUpdate& update : updates) {
    ParameterState& state = update.state;
    const auto time = static_cast<int64_t>(state["step"].add_(1).item<float>());
    tensors.push_back({update.weight, update.gradient, state["exp_avg"], state["exp_avg_sq"],
                       options_.amsgrad ? state["max_exp_avg_sq"] : at::Tensor(), time});
  }
  update_adamw(tensors, rule_for(updates.front()));
}

void AdamW::update_on_device(std::span<TensorUpdate> updates) const {
  AdamWLists lists;
  for (TensorUpdate& update : updates) {
    lists.weights.push_back(update.weight);
    lists.gradients.push_back(update.gradient);
    lists.exp_avg.push_back(update.state["exp_avg"]);
    lists.exp_avg_sq.push_back(update.state["exp_avg_sq"]);
    if (options_.amsgrad) lists.max_exp_avg_sq.push_back(update.state["max_exp_avg_sq"]);
    lists.times.push_back(update.state["step"]);
  }
  update_adamw_on_device(lists, rule_for(updates.front()), updates.front().device_scale);
}

// All of one group.
void AdamW::update_all(std::span<TensorUpdate> updates) const {
  is_on_cpu_ ? update_on_cpu(updates) : update_on_device(updates);
}

AdamWRule AdamW::rule_for(const TensorUpdate& update) const {
  return {update.rate,           options_.beta1,     options_.beta2,       options_.eps,
          options_.weight_decay, options_.decoupled, update.gradient_scale};
}

void AdamW::apply(TensorUpdate& update) { update_all({&update, 1}); }

void AdamW::apply_together(std::vector<TensorUpdate>& updates) { update_all(updates); }

OptimizerTable adam_optimizers() {
  const auto read = [](ArgumentReader& arguments, AdamWOptions options) {
    arguments.without_effect({"fused", "foreach", "capturable"});
    arguments.betas("betas", options.beta1, options.beta2);
    arguments.number("eps", options.eps, 0);
    arguments.number("weight_decay", options.weight_decay, 0);
    arguments.flag("amsgrad", options.amsgrad);
    return options;
  };
  return {{"AdamW",
           [read](std::vector<ParameterGroup> groups, ArgumentReader& arguments) {
             return std::make_unique<AdamW>(std::move(groups), read(arguments, {}));
           }},
          {"Adam", [read](std::vector<ParameterGroup> groups, ArgumentReader& arguments) {
             return std::make_unique<AdamW>(
                 std::move(groups), read(arguments, {.weight_decay = 0, .decoupled = false}));
           }}};
}

}  // namespace sdtune
