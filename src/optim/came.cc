// CAME (Luo et al., "CAME: confidence-guided adaptive memory efficient optimization", 2023).
#include "optim/factored_moment.h"
#include "optim/optimizer_table.h"

namespace sdtune {

namespace {

struct CameOptions {
  double betas[3] = {0.9, 0.999, 0.9999};
  double eps_square = 1e-30;      // added to squared gradients
  double eps_confidence = 1e-16;  // added to squared residuals
  double clip_threshold = 1;
  double weight_decay = 0;
};

class Came : public TensorOptimizer {
 public:
  Came(std::vector<ParameterGroup> groups, CameOptions options)
      : TensorOptimizer(std::move(groups)), options_(options) {}

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    state.add("exp_avg", state_zeros(parameter));
    if (is_factored(parameter)) {
      add_factors(parameter, "exp_avg_sq", state);
      add_factors(parameter, "exp_avg_res", state);
    } else {
      state.add("exp_avg_sq", state_zeros(parameter));
    }
  }

  void apply(TensorUpdate& update) override {
    const auto& [beta1, beta2, beta3] = options_.betas;
    ParameterState& state = update.state;
    const bool factored = is_factored(update.weight);
    const at::Tensor square = update.gradient.square().add_(options_.eps_square);
    at::Tensor change = factored ? factored_inverse_root(state, "exp_avg_sq", square, beta2)
                                 : state["exp_avg_sq"].mul_(beta2).add_(square, 1 - beta2).rsqrt();
    change.mul_(update.gradient);
    change.div_(root_mean_square(change).div(options_.clip_threshold).clamp_min_(1));

    at::Tensor& average = state["exp_avg"].lerp_(change, 1 - beta1);
    update.weight.mul_(1 - update.rate * options_.weight_decay);
    if (!factored) {
      update.weight.add_(average, -update.rate);
      return;
    }
    const at::Tensor residual = change.sub_(average).square_().add_(options_.eps_confidence);
    const at::Tensor confidence = factored_inverse_root(state, "exp_avg_res", residual, beta3);
    update.weight.addcmul_(confidence, average, -update.rate);
  }

 private:
  CameOptions options_;
};

}  // namespace

OptimizerTable came_optimizers() {
  return {{"CAME", [](std::vector<ParameterGroup> groups, ArgumentReader& arguments) {
             CameOptions options;
             double eps[] = {options.eps_square, options.eps_confidence};
             arguments.numbers("betas", options.betas, 0, 1);
             arguments.numbers("eps", eps, 0, 1e300);
             options.eps_square = eps[0];
             options.eps_confidence = eps[1];
             arguments.number("clip_threshold", options.clip_threshold, 1e-300);
             arguments.number("weight_decay", options.weight_decay, 0);
             return std::make_unique<Came>(std::move(groups), options);
           }}};
}

}  // namespace sdtune
