// D-Adaptation on Adan, in both forms of the package dadaptation: DAdaptAdan, and DAdaptAdanIP,
// whose bound comes from inner products and is tighter.
#include "optim/adaptive_rate.h"
#include "optim/optimizer_table.h"

namespace sdtune {

namespace {

struct DAdaptAdanOptions {
  AdaptiveRateOptions rate;
  double betas[3] = {0.98, 0.92, 0.99};
  double eps = 1e-8;
  double weight_decay = 0.02;
  bool no_prox = false;  // decay before the step instead of after it
  bool inner_products = false;
};

class DAdaptAdan : public AdaptiveRate {
 public:
  DAdaptAdan(std::vector<ParameterGroup> groups, DAdaptAdanOptions options)
      : AdaptiveRate(std::move(groups), options.rate, {"weighted"}), options_(options) {}

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    for (const char* name : {"exp_avg", "exp_avg_diff", "exp_avg_sq", "s", "pre_grad"}) {
      state.add(name, state_zeros(parameter));
    }
    state.add("step", state_number(0));
  }

  bool begin() override {
    size_ = d() * rate_;
    return true;
  }

  void gather(TensorUpdate& update) override {
    const auto& [beta1, beta2, beta3] = options_.betas;
    ParameterState& state = update.state;
    const at::Tensor& gradient = update.gradient;
    at::Tensor& s = state["s"];
    if (number_in(state["step"]) == 0) state["pre_grad"].copy_(gradient);
    if (options_.inner_products)
      products_.add(inner_product(gradient, s.div(spread(state))), size_);
    const at::Tensor difference = gradient - state["pre_grad"];
    const at::Tensor ahead = gradient + difference * beta2;
    state["exp_avg"].mul_(beta1).add_(gradient, size_ * (1 - beta1));
    state["exp_avg_diff"].mul_(beta2).add_(difference, size_ * (1 - beta2));
    state["exp_avg_sq"].mul_(beta3).add_(ahead * ahead, 1 - beta3);
    s.mul_(beta3).add_(gradient, size_ * (1 - beta3));
    if (!options_.inner_products) {
      const at::Tensor divisor = spread(state);
      products_.add((gradient * gradient).div_(divisor).sum());
      sums_.add((s * s).div_(divisor).sum());
    }
    length_.add(s.abs().sum());
  }

  bool adapt() override {
    const double beta3 = options_.betas[2], rest = 1 - beta3;
    const double products = products_.take() * (options_.inner_products ? 1 : size_ * size_);
    const double weighted = beta3 * shared("weighted") + products * rest;
    const double sums = sums_.take(), length = length_.take();
    if (length == 0) return false;
    set_shared("weighted", weighted);
    if (rate_ > 0) {
      grow_to(options_.inner_products ? 2 * (beta3 / rest) * weighted / length
                                      : (sums / rest - weighted) / length);
    }
    return true;
  }

  void apply(TensorUpdate& update) override {
    ParameterState& state = update.state;
    count_step(state);
    const double decay = size_ * options_.weight_decay;
    const at::Tensor change =
        (state["exp_avg"] + state["exp_avg_diff"] * options_.betas[1]).div_(spread(state));
    if (options_.no_prox) update.weight.mul_(1 - decay);
    update.weight.sub_(change);
    if (!options_.no_prox) update.weight.div_(1 + decay);
    state["pre_grad"].copy_(update.gradient);
  }

 private:
  at::Tensor spread(ParameterState& state) const {
    return state["exp_avg_sq"].sqrt().add_(options_.eps);
  }

  DAdaptAdanOptions options_;
  double size_ = 0;  // d · rate
  DeviceSum products_, sums_, length_;
};

std::unique_ptr<Optimizer> make(std::vector<ParameterGroup> groups, ArgumentReader& arguments,
                                bool inner_products) {
  DAdaptAdanOptions options{.inner_products = inner_products};
  read_adaptive_rate(arguments, options.rate);
  arguments.numbers("betas", options.betas, 0, 1);
  arguments.number("eps", options.eps, 0);
  arguments.number("weight_decay", options.weight_decay, 0);
  arguments.flag("no_prox", options.no_prox);
  return std::make_unique<DAdaptAdan>(std::move(groups), options);
}

}  // namespace

OptimizerTable d_adapt_adan_optimizers() {
  return {{"DAdaptAdan",
           [](std::vector<ParameterGroup> groups, ArgumentReader& arguments) {
             return make(std::move(groups), arguments, false);
           }},
          {"DAdaptAdanIP", [](std::vector<ParameterGroup> groups, ArgumentReader& arguments) {
             return make(std::move(groups), arguments, true);
           }}};
}

}  // namespace sdtune
