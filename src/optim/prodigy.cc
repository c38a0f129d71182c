// Prodigy (Mishchenko & Defazio, "Prodigy: an expeditiously adaptive parameter-free learner", 2023)
// with the settings and the arithmetic of prodigyopt.
#include <algorithm>
#include <cmath>

#include "optim/adaptive_rate.h"
#include "optim/optimizer_table.h"

namespace sdtune {

namespace {

struct ProdigyOptions {
  AdaptiveRateOptions rate;
  double beta1 = 0.9;
  double beta2 = 0.999;
  std::optional<double> beta3;  // none: the root of beta2
  double eps = 1e-8;
  double weight_decay = 0;
  bool decouple = true;
  bool use_bias_correction = false;
  bool safeguard_warmup = false;  // keep the rate out of the denominator of d
  double d_coef = 1;
  int64_t slice_p = 1;  // d is estimated from each p-th element
};

class Prodigy : public AdaptiveRate {
 public:
  Prodigy(std::vector<ParameterGroup> groups, ProdigyOptions options)
      : AdaptiveRate(std::move(groups), options.rate, {"d_max", "d_numerator"}),
        options_(options),
        beta3_(options.beta3.value_or(std::sqrt(options.beta2))) {
    set_shared("d_max", options.rate.d0);
  }

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    const at::Tensor part = sliced(parameter);
    if (options_.beta1 > 0) state.add("exp_avg", state_zeros(parameter));
    state.add("exp_avg_sq", state_zeros(parameter));
    state.add("s", state_zeros(part));
    state.add("p0", part.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true));
  }

  bool begin() override {
    size_ = d() * rate_;
    if (options_.use_bias_correction) size_ *= bias_correction(options_.beta1, options_.beta2);
    return true;
  }

  void gather(TensorUpdate& update) override {
    if (update.rate <= 0) return;
    ParameterState& state = update.state;
    const at::Tensor gradient = gradient_of(update);
    const at::Tensor part = sliced(gradient);
    // d / d0 instead of d keeps the sums from growing too small for fp32.
    const double scale = d() / adaptive_.d0;
    numerator_.add(inner_product(part, state["p0"] - sliced(update.weight)), scale * size_);
    if (options_.beta1 > 0) {
      state["exp_avg"].mul_(options_.beta1).add_(gradient, d() * (1 - options_.beta1));
    }
    state["exp_avg_sq"]
        .mul_(options_.beta2)
        .addcmul_(gradient, gradient, d() * d() * (1 - options_.beta2));
    state["s"].mul_(beta3_).add_(part, scale * (options_.safeguard_warmup ? d() : size_));
    denominator_.add(state["s"].abs().sum());
  }

  bool adapt() override {
    const double numerator = shared("d_numerator") * beta3_ + numerator_.take();
    const double denominator = denominator_.take();
    if (denominator == 0) return false;
    if (rate_ > 0) {
      const double estimate = options_.d_coef * numerator / denominator;
      const double start = d() == adaptive_.d0 ? std::max(d(), estimate) : d();
      set_shared("d_max", std::max(shared("d_max"), estimate));
      set_shared("d", std::min(shared("d_max"), start * adaptive_.growth_rate));
      set_shared("d_numerator", numerator);
    }
    return true;
  }

  void apply(TensorUpdate& update) override {
    const at::Tensor spread = update.state["exp_avg_sq"].sqrt().add_(d() * options_.eps);
    const at::Tensor gradient = options_.beta1 > 0 ? at::Tensor() : gradient_of(update);
    if (options_.decouple) update.weight.mul_(1 - options_.weight_decay * size_);
    if (options_.beta1 > 0) {
      update.weight.addcdiv_(update.state["exp_avg"], spread, -size_);
    } else {
      update.weight.addcdiv_(gradient, spread, -size_ * d());
    }
  }

 private:
  at::Tensor gradient_of(const TensorUpdate& update) const {
    if (options_.weight_decay == 0 || options_.decouple) return update.gradient;
    return update.gradient.add(update.weight, options_.weight_decay);
  }

  at::Tensor sliced(const at::Tensor& tensor) const {
    if (options_.slice_p == 1) return tensor;
    return tensor.flatten().slice(0, std::nullopt, std::nullopt, options_.slice_p);
  }

  ProdigyOptions options_;
  double beta3_;
  double size_ = 0;  // d · rate, with the correction
  DeviceSum numerator_, denominator_;
};

}  // namespace

OptimizerTable prodigy_optimizers() {
  return {{"Prodigy", [](std::vector<ParameterGroup> groups, ArgumentReader& arguments) {
             ProdigyOptions options;
             read_adaptive_rate(arguments, options.rate);
             arguments.betas("betas", options.beta1, options.beta2);
             arguments.number("beta3", options.beta3);
             arguments.number("eps", options.eps, 0);
             arguments.number("weight_decay", options.weight_decay, 0);
             arguments.flag("decouple", options.decouple);
             arguments.flag("use_bias_correction", options.use_bias_correction);
             arguments.flag("safeguard_warmup", options.safeguard_warmup);
             arguments.number("d_coef", options.d_coef, 0);
             arguments.integer("slice_p", options.slice_p, 1);
             return std::make_unique<Prodigy>(std::move(groups), options);
           }}};
}

}  // namespace sdtune
