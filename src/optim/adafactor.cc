// Adafactor (Shazeer & Stern 2018) with the settings and the arithmetic of transformers' Adafactor.
#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "optim/factored_moment.h"
#include "optim/optimizer_table.h"

namespace sdtune {

namespace {

struct AdafactorOptions {
  double eps_square = 1e-30;  // added to squared gradients
  double eps_scale = 1e-3;    // least scale of a parameter
  double clip_threshold = 1;
  double decay_rate = -0.8;
  std::optional<double> beta1;
  double weight_decay = 0;
  bool scale_parameter = true;
  bool relative_step = true;
  bool warmup_init = false;
};

class Adafactor : public TensorOptimizer {
 public:
  Adafactor(std::vector<ParameterGroup> groups, AdafactorOptions options)
      : TensorOptimizer(std::move(groups)), options_(options), last_rates_(groups_.size()) {}

  bool follows_schedule() const override { return !options_.relative_step; }

  void remark_on_rates() const override {
    if (!options_.relative_step) return;
    log_info(
        "Adafactor's relative step finds the learning rate: --learning_rate and --lr_scheduler "
        "have no effect");
  }

  // That of the group's first parameter, as transformers' AdafactorSchedule shows it.
  std::optional<double> adapted_rate(size_t group) const override {
    if (!options_.relative_step || !last_rates_[group].defined()) return std::nullopt;
    return last_rates_[group].item<double>();
  }

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    if (options_.beta1) state.add("exp_avg", state_zeros(parameter));
    if (is_factored(parameter)) {
      add_factors(parameter, "exp_avg_sq", state);
    } else {
      state.add("exp_avg_sq", state_zeros(parameter));
    }
    state.add("step", state_number(0));
  }

  void apply(TensorUpdate& update) override {
    const double step = count_step(update.state);
    const at::Tensor rate = own_rate(update, step);
    if (update.index == 0) last_rates_[update.group] = rate;
    at::Tensor change = direction(update, 1 - std::pow(step, options_.decay_rate));
    change.div_(root_mean_square(change).div(options_.clip_threshold).clamp_min_(1));
    change.mul_(rate);
    if (options_.beta1) {
      at::Tensor& average = update.state["exp_avg"];
      change = average.mul_(*options_.beta1).add_(change, 1 - *options_.beta1);
    }
    if (options_.weight_decay != 0) {
      update.weight.addcmul_(update.weight, rate * options_.weight_decay, -1);
    }
    update.weight.sub_(change);
  }

 private:
  // [] on the weight's device, so that nothing waits for the parameter's scale.
  at::Tensor own_rate(const TensorUpdate& update, double step) const {
    double relative = update.rate;
    if (options_.relative_step) {
      relative = std::min(options_.warmup_init ? 1e-6 * step : 1e-2, 1 / std::sqrt(step));
    }
    if (!options_.scale_parameter) {
      return at::full({}, relative, update.weight.options());
    }
    return root_mean_square(update.weight).clamp_min_(options_.eps_scale).mul_(relative);
  }

  // The gradient over the root of its second moment.
  at::Tensor direction(TensorUpdate& update, double beta2) const {
    const at::Tensor square = update.gradient.square().add_(options_.eps_square);
    if (is_factored(update.weight)) {
      return factored_inverse_root(update.state, "exp_avg_sq", square, beta2).mul_(update.gradient);
    }
    at::Tensor& moment = update.state["exp_avg_sq"];
    return moment.mul_(beta2).add_(square, 1 - beta2).rsqrt().mul_(update.gradient);
  }

  AdafactorOptions options_;
  std::vector<at::Tensor> last_rates_;  // as groups_
};

AdafactorOptions read_options(ArgumentReader& arguments) {
  AdafactorOptions options;
  double eps[] = {options.eps_square, options.eps_scale};
  arguments.numbers("eps", eps, 0, 1e300);
  options.eps_square = eps[0];
  options.eps_scale = eps[1];
  arguments.number("clip_threshold", options.clip_threshold, 1e-300);
  arguments.number("decay_rate", options.decay_rate);
  arguments.number("beta1", options.beta1);
  arguments.number("weight_decay", options.weight_decay, 0);
  arguments.flag("scale_parameter", options.scale_parameter);
  arguments.flag("relative_step", options.relative_step);
  arguments.flag("warmup_init", options.warmup_init);
  if (options.warmup_init && !options.relative_step) {
    log_warning("warmup_init needs relative_step, which is turned on");
    options.relative_step = true;
  }
  return options;
}

}  // namespace

OptimizerTable adafactor_optimizers() {
  return {{"AdaFactor", [](std::vector<ParameterGroup> groups, ArgumentReader& arguments) {
             return std::make_unique<Adafactor>(std::move(groups), read_options(arguments));
           }}};
}

}  // namespace sdtune
