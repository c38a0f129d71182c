#include "optim/adamw.h"

#include "optim/optimizer_table.h"

namespace sdtune {

AdamW::AdamW(std::vector<ParameterGroup> groups, AdamWOptions options)
    : TensorOptimizer(std::move(groups)), options_(options) {}

void AdamW::add_state(const at::Tensor& parameter, ParameterState& state) const {
  state.add("exp_avg", state_zeros(parameter));
  state.add("exp_avg_sq", state_zeros(parameter));
  if (options_.amsgrad) state.add("max_exp_avg_sq", state_zeros(parameter));
  // Where the fused kernel wants it.
  state.add("step", at::zeros({}, at::TensorOptions(at::kFloat).device(parameter.device())));
}

void AdamW::append(TensorUpdate& update, Lists& lists) const {
  ParameterState& state = update.state;
  lists.weights.push_back(update.weight);
  lists.gradients.push_back(update.gradient);
  lists.exp_avg.push_back(state["exp_avg"]);
  lists.exp_avg_sq.push_back(state["exp_avg_sq"]);
  if (options_.amsgrad) lists.max_exp_avg_sq.push_back(state["max_exp_avg_sq"]);
  lists.steps.push_back(state["step"].add_(1));
}

void AdamW::update_all(const Lists& lists, double rate) const {
  if (options_.decoupled) {
    at::_fused_adamw_(lists.weights, lists.gradients, lists.exp_avg, lists.exp_avg_sq,
                      lists.max_exp_avg_sq, lists.steps, rate, options_.beta1, options_.beta2,
                      options_.weight_decay, options_.eps, options_.amsgrad, /*maximize=*/false);
  } else {
    at::_fused_adam_(lists.weights, lists.gradients, lists.exp_avg, lists.exp_avg_sq,
                     lists.max_exp_avg_sq, lists.steps, rate, options_.beta1, options_.beta2,
                     options_.weight_decay, options_.eps, options_.amsgrad, /*maximize=*/false);
  }
}

void AdamW::apply(TensorUpdate& update) {
  Lists one;
  append(update, one);
  update_all(one, update.rate);
}

void AdamW::step(const UpdateMoment& moment) {
  const at::NoGradGuard no_grad;
  std::vector<Lists> together(groups_.size());
  each_with_gradient([&](size_t g, size_t i) {
    const at::Tensor& parameter = groups_[g].parameters[i].tensor;
    if (!parameter.is_cuda() || parameter.scalar_type() != at::kFloat || state_is_on_host()) {
      update_tensor(g, i, moment);
      return;
    }
    TensorUpdate update = prepare(g, i, moment);
    append(update, together[g]);
  });
  for (size_t g = 0; g < groups_.size(); ++g) {
    if (!together[g].weights.empty()) update_all(together[g], rate(g, moment));
  }
}

OptimizerTable adam_optimizers() {
  const auto read = [](ArgumentReader& arguments, AdamWOptions options) {
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
