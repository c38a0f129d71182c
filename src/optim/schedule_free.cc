// Schedule-free SGD, AdamW and RAdam (Defazio et al., "The road less scheduled", 2024) with the
// settings of the package schedulefree. The parameters hold y, where gradients are taken; the state
// holds z; the averaged weights x follow from both, for samples and saves.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "optim/host_state.h"
#include "optim/optimizer_table.h"
#include "optim/tensor_optimizer.h"

namespace sdtune {

namespace {

enum class Base { kSgd, kAdamW, kRAdam };

struct ScheduleFreeOptions {
  Base base = Base::kAdamW;
  double beta1 = 0.9;  // SGD's momentum: where y lies between z and x
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  int64_t warmup_steps = 0;
  double r = 0;                  // weight of a step in the average: step^r ...
  double weight_lr_power = 2;    // ... times the largest rate so far to this power
  bool silent_sgd_phase = true;  // RAdam: no step while the variance cannot be told
};

class ScheduleFree : public TensorOptimizer {
 public:
  ScheduleFree(std::vector<ParameterGroup> groups, ScheduleFreeOptions options)
      : TensorOptimizer(std::move(groups)), options_(options) {}

  bool follows_schedule() const override { return false; }

  void use_averaged_weights(bool averaged) override;

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    state.add("z", parameter.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true));
    if (options_.base != Base::kSgd) state.add("exp_avg_sq", state_zeros(parameter));
    state.add("step", state_number(0));
    state.add("weight_sum", state_number(0));
    state.add("largest_rate", state_number(-1));
  }

  void apply(TensorUpdate& update) override;

 private:
  struct Size {
    double rate;
    bool adaptive;  // whether the gradient is divided by the root of its second moment
  };
  Size size(double rate, double t) const;
  at::Tensor direction(const TensorUpdate& update, double t, bool adaptive) const;

  ScheduleFreeOptions options_;
  std::vector<std::pair<at::Tensor, at::Tensor>>
      trained_;  // parameters and their y, while averaged
};

ScheduleFree::Size ScheduleFree::size(double rate, double t) const {
  if (options_.base != Base::kRAdam) {
    const auto warmup = static_cast<double>(options_.warmup_steps);
    return {t <= warmup ? rate * t / warmup : rate, options_.base == Base::kAdamW};
  }
  const double beta2_t = std::pow(options_.beta2, t);
  const double longest = 2 / (1 - options_.beta2) - 1;
  const double length = longest - 2 * t * beta2_t / (1 - beta2_t);
  if (length <= 4) return {options_.silent_sgd_phase ? 0 : rate, false};
  return {rate * std::sqrt((length - 4) * (length - 2) * longest /
                           ((longest - 4) * (longest - 2) * length)),
          true};
}

at::Tensor ScheduleFree::direction(const TensorUpdate& update, double t, bool adaptive) const {
  at::Tensor result = update.gradient;
  if (options_.base != Base::kSgd) {
    at::Tensor& moment = update.state["exp_avg_sq"];
    moment.mul_(options_.beta2).addcmul_(update.gradient, update.gradient, 1 - options_.beta2);
    if (adaptive) {
      const double correction = 1 - std::pow(options_.beta2, t);
      result = update.gradient.div(moment.div(correction).sqrt_().add_(options_.eps));
    }
  }
  if (options_.weight_decay == 0) return result;
  return result.add(update.weight, options_.weight_decay);
}

void ScheduleFree::apply(TensorUpdate& update) {
  ParameterState& state = update.state;
  const double t = count_step(state);
  const auto [rate, adaptive] = size(update.rate, t);
  const double largest = std::max(rate, number_in(state["largest_rate"]));
  state["largest_rate"].fill_(largest);
  const double share = std::pow(t, options_.r) * std::pow(largest, options_.weight_lr_power);
  const double sum = number_in(state["weight_sum"].add_(share));
  const double pull = sum == 0 ? 0 : share / sum;

  const at::Tensor change = direction(update, t, adaptive);
  update.weight.lerp_(state["z"], pull);
  update.weight.add_(change, rate * (options_.beta1 * (1 - pull) - 1));
  state["z"].sub_(change, rate);
}

// y is kept, so that going back is exact, in the host's memory, which has room while a model is
// saved.
void ScheduleFree::use_averaged_weights(bool averaged) {
  if (averaged == !trained_.empty()) return;
  const at::NoGradGuard no_grad;
  if (state_is_on_host()) wait_for_devices(groups_);  // until z is home
  for (auto& [parameter, y] : trained_) parameter.copy_(y);
  trained_.clear();
  if (!averaged) return;
  for (size_t g = 0; g < groups_.size(); ++g) {
    for (size_t i = 0; i < groups_[g].parameters.size(); ++i) {
      at::Tensor parameter = groups_[g].parameters[i].tensor.detach();
      trained_.emplace_back(parameter,
                            parameter.to(at::kCPU, parameter.scalar_type(), false, true));
      const at::Tensor z = state_of(g, i)["z"].to(parameter.device());
      parameter.copy_(parameter.to(at::kFloat).lerp(z, 1 - 1 / options_.beta1));
    }
  }
}

std::unique_ptr<Optimizer> make(std::vector<ParameterGroup> groups, ArgumentReader& arguments,
                                Base base) {
  ScheduleFreeOptions options{.base = base};
  if (base == Base::kSgd) {
    arguments.number("momentum", options.beta1, 0, 1);
  } else {
    arguments.betas("betas", options.beta1, options.beta2);
    arguments.number("eps", options.eps, 0);
  }
  if (options.beta1 <= 0 || options.beta1 >= 1) {
    throw UsageError("schedule-free rules need a momentum (the first of betas) between 0 and 1",
                     "--optimizer_args");
  }
  arguments.number("weight_decay", options.weight_decay, 0);
  arguments.number("r", options.r);
  arguments.number("weight_lr_power", options.weight_lr_power);
  if (base == Base::kRAdam) {
    arguments.flag("silent_sgd_phase", options.silent_sgd_phase);
  } else {
    arguments.integer("warmup_steps", options.warmup_steps, 0);
  }
  arguments.without_effect({"foreach"});
  return std::make_unique<ScheduleFree>(std::move(groups), options);
}

}  // namespace

OptimizerTable schedule_free_optimizers() {
  const auto entry = [](const char* name, Base base) {
    return OptimizerEntry{name,
                          [base](std::vector<ParameterGroup> groups, ArgumentReader& arguments) {
                            return make(std::move(groups), arguments, base);
                          }};
  };
  return {entry("RAdamScheduleFree", Base::kRAdam), entry("AdamWScheduleFree", Base::kAdamW),
          entry("SGDScheduleFree", Base::kSgd)};
}

}  // namespace sdtune
