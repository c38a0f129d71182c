// Adan (Xie et al., "Adan: adaptive Nesterov momentum algorithm", 2022).
#include <cmath>

#include "optim/optimizer_table.h"
#include "optim/tensor_optimizer.h"

namespace sdtune {

namespace {

struct AdanOptions {
  double betas[3] = {0.98, 0.92, 0.99};
  double eps = 1e-8;
  double weight_decay = 0;
  bool no_prox = false;  // decay before the step, as AdamW, instead of after it
};

class Adan : public TensorOptimizer {
 public:
  Adan(std::vector<ParameterGroup> groups, AdanOptions options)
      : TensorOptimizer(std::move(groups)), options_(options) {}

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    for (const char* name : {"exp_avg", "exp_avg_sq", "exp_avg_diff", "previous_gradient"}) {
      state.add(name, state_zeros(parameter));
    }
    state.add("step", state_number(0));
  }

  void apply(TensorUpdate& update) override {
    const auto& [beta1, beta2, beta3] = options_.betas;
    ParameterState& state = update.state;
    const double t = count_step(state);
    at::Tensor& previous = state["previous_gradient"];
    if (t == 1) previous.copy_(update.gradient);
    const at::Tensor difference = update.gradient - previous;
    state["exp_avg"].lerp_(update.gradient, 1 - beta1);
    state["exp_avg_diff"].lerp_(difference, 1 - beta2);
    const at::Tensor ahead = difference.mul(beta2).add_(update.gradient);
    state["exp_avg_sq"].mul_(beta3).addcmul_(ahead, ahead, 1 - beta3);
    previous.copy_(update.gradient);

    const at::Tensor spread =
        state["exp_avg_sq"].sqrt().div_(std::sqrt(1 - std::pow(beta3, t))).add_(options_.eps);
    const double decay = update.rate * options_.weight_decay;
    if (options_.no_prox) update.weight.mul_(1 - decay);
    update.weight.addcdiv_(state["exp_avg"], spread, -update.rate / (1 - std::pow(beta1, t)));
    update.weight.addcdiv_(state["exp_avg_diff"], spread,
                           -update.rate * beta2 / (1 - std::pow(beta2, t)));
    if (!options_.no_prox) update.weight.div_(1 + decay);
  }

 private:
  AdanOptions options_;
};

}  // namespace

OptimizerTable adan_optimizers() {
  return {{"Adan", [](std::vector<ParameterGroup> groups, ArgumentReader& arguments) {
             AdanOptions options;
             arguments.numbers("betas", options.betas, 0, 1);
             arguments.number("eps", options.eps, 0);
             arguments.number("weight_decay", options.weight_decay, 0);
             arguments.flag("no_prox", options.no_prox);
             arguments.without_effect({"foreach", "fused"});
             return std::make_unique<Adan>(std::move(groups), options);
           }}};
}

}  // namespace sdtune
