// Lion (Chen et al., "Symbolic discovery of optimization algorithms", 2023) with lion-pytorch's
// settings.
#include "optim/optimizer_table.h"
#include "optim/tensor_optimizer.h"

namespace sdtune {

namespace {

struct LionOptions {
  double beta1 = 0.9;
  double beta2 = 0.99;
  double weight_decay = 0;
  bool decoupled_weight_decay = false;  // decay by the share of the peak rate, not by the rate
};

class Lion : public TensorOptimizer {
 public:
  Lion(std::vector<ParameterGroup> groups, LionOptions options)
      : TensorOptimizer(std::move(groups)), options_(options) {
    if (options_.decoupled_weight_decay && !groups_.empty() && groups_.front().learning_rate > 0) {
      options_.weight_decay /= groups_.front().learning_rate;
    }
  }

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    state.add("exp_avg", state_zeros(parameter));
  }

  void apply(TensorUpdate& update) override {
    at::Tensor& average = update.state["exp_avg"];
    update.weight.mul_(1 - update.rate * options_.weight_decay);
    const at::Tensor direction =
        average.mul(options_.beta1).add_(update.gradient, 1 - options_.beta1).sign_();
    update.weight.add_(direction, -update.rate);
    average.mul_(options_.beta2).add_(update.gradient, 1 - options_.beta2);
  }

 private:
  LionOptions options_;
};

}  // namespace

OptimizerTable lion_optimizers() {
  return {{"Lion", [](std::vector<ParameterGroup> groups, ArgumentReader& arguments) {
             LionOptions options;
             arguments.betas("betas", options.beta1, options.beta2);
             arguments.number("weight_decay", options.weight_decay, 0);
             arguments.flag("decoupled_weight_decay", options.decoupled_weight_decay);
             arguments.without_effect({"use_triton"});
             return std::make_unique<Lion>(std::move(groups), options);
           }}};
}

}  // namespace sdtune
