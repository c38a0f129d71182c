// Relatives of Adam as torch.optim has them: RAdam (Liu et al. 2020), NAdam (Dozat 2016), Adamax
// (Kingma & Ba 2015, section 7.1), Adagrad (Duchi et al. 2011), RMSprop (Hinton 2012; Graves 2013
// where it is centered) and Adadelta (Zeiler 2012).
#include <cmath>

#include "optim/optimizer_table.h"
#include "optim/tensor_optimizer.h"

namespace sdtune {

namespace {

struct MomentOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool decoupled_weight_decay = false;
};

// The gradient with the weight decay in it, or the weight decayed beforehand.
at::Tensor decay(TensorUpdate& update, double weight_decay, bool decoupled) {
  if (weight_decay == 0) return update.gradient;
  if (!decoupled) return update.gradient.add(update.weight, weight_decay);
  update.weight.mul_(1 - update.rate * weight_decay);
  return update.gradient;
}

class Moments : public TensorOptimizer {
 public:
  Moments(std::vector<ParameterGroup> groups, MomentOptions options)
      : TensorOptimizer(std::move(groups)), options_(options) {}

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    state.add("exp_avg", state_zeros(parameter));
    state.add("exp_avg_sq", state_zeros(parameter));
    state.add("step", state_number(0));
  }

  // Both moving averages with one more gradient.
  void average(ParameterState& state, const at::Tensor& gradient) const {
    state["exp_avg"].lerp_(gradient, 1 - options_.beta1);
    state["exp_avg_sq"].mul_(options_.beta2).addcmul_(gradient, gradient, 1 - options_.beta2);
  }

  MomentOptions options_;
};

class RAdam : public Moments {
 public:
  using Moments::Moments;

 protected:
  void apply(TensorUpdate& update) override {
    const double t = count_step(update.state);
    average(update.state, decay(update, options_.weight_decay, options_.decoupled_weight_decay));
    const double correction1 = 1 - std::pow(options_.beta1, t);
    const double beta2_t = std::pow(options_.beta2, t);
    const double longest = 2 / (1 - options_.beta2) - 1;
    const double length = longest - 2 * t * beta2_t / (1 - beta2_t);
    const double size = update.rate / correction1;
    const at::Tensor& direction = update.state["exp_avg"];
    if (length <= 5) {  // too few steps to tell the variance
      update.weight.add_(direction, -size);
      return;
    }
    const double rectified =
        std::sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length));
    const at::Tensor spread = update.state["exp_avg_sq"].sqrt().add_(options_.eps);
    update.weight.addcdiv_(direction, spread, -size * rectified * std::sqrt(1 - beta2_t));
  }
};

class NAdam : public Moments {
 public:
  NAdam(std::vector<ParameterGroup> groups, MomentOptions options, double momentum_decay)
      : Moments(std::move(groups), options), momentum_decay_(momentum_decay) {}

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    Moments::add_state(parameter, state);
    state.add("mu_product", state_number(1));
  }

  void apply(TensorUpdate& update) override {
    const double t = count_step(update.state);
    const at::Tensor gradient =
        decay(update, options_.weight_decay, options_.decoupled_weight_decay);
    average(update.state, gradient);
    const double mu = momentum(t), next = momentum(t + 1);
    const double product = number_in(update.state["mu_product"].mul_(mu));
    const double correction2 = 1 - std::pow(options_.beta2, t);
    const at::Tensor spread =
        update.state["exp_avg_sq"].div(correction2).sqrt_().add_(options_.eps);
    update.weight.addcdiv_(gradient, spread, -update.rate * (1 - mu) / (1 - product));
    update.weight.addcdiv_(update.state["exp_avg"], spread,
                           -update.rate * next / (1 - product * next));
  }

 private:
  double momentum(double t) const {
    return options_.beta1 * (1 - 0.5 * std::pow(0.96, t * momentum_decay_));
  }

  double momentum_decay_;
};

class Adamax : public TensorOptimizer {
 public:
  Adamax(std::vector<ParameterGroup> groups, MomentOptions options)
      : TensorOptimizer(std::move(groups)), options_(options) {}

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    state.add("exp_avg", state_zeros(parameter));
    state.add("exp_inf", state_zeros(parameter));
    state.add("step", state_number(0));
  }

  void apply(TensorUpdate& update) override {
    const double t = count_step(update.state);
    const at::Tensor gradient = decay(update, options_.weight_decay, false);
    at::Tensor& largest = update.state["exp_inf"];
    update.state["exp_avg"].lerp_(gradient, 1 - options_.beta1);
    largest.copy_(at::maximum(largest.mul(options_.beta2), gradient.abs().add_(options_.eps)));
    const double correction = 1 - std::pow(options_.beta1, t);
    update.weight.addcdiv_(update.state["exp_avg"], largest, -update.rate / correction);
  }

 private:
  MomentOptions options_;
};

struct AdagradOptions {
  double lr_decay = 0;
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;
};

class Adagrad : public TensorOptimizer {
 public:
  Adagrad(std::vector<ParameterGroup> groups, AdagradOptions options)
      : TensorOptimizer(std::move(groups)), options_(options) {}

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    state.add("sum", state_zeros(parameter).fill_(options_.initial_accumulator_value));
    state.add("step", state_number(0));
  }

  void apply(TensorUpdate& update) override {
    const double t = count_step(update.state);
    const at::Tensor gradient = decay(update, options_.weight_decay, false);
    at::Tensor& sum = update.state["sum"].addcmul_(gradient, gradient, 1);
    update.weight.addcdiv_(gradient, sum.sqrt().add_(options_.eps),
                           -update.rate / (1 + (t - 1) * options_.lr_decay));
  }

 private:
  AdagradOptions options_;
};

struct RmspropOptions {
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;
};

class Rmsprop : public TensorOptimizer {
 public:
  Rmsprop(std::vector<ParameterGroup> groups, RmspropOptions options)
      : TensorOptimizer(std::move(groups)), options_(options) {}

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    state.add("square_avg", state_zeros(parameter));
    if (options_.momentum > 0) state.add("momentum_buffer", state_zeros(parameter));
    if (options_.centered) state.add("grad_avg", state_zeros(parameter));
  }

  void apply(TensorUpdate& update) override {
    const at::Tensor gradient = decay(update, options_.weight_decay, false);
    at::Tensor spread = update.state["square_avg"]
                            .mul_(options_.alpha)
                            .addcmul_(gradient, gradient, 1 - options_.alpha);
    if (options_.centered) {
      const at::Tensor& mean = update.state["grad_avg"].lerp_(gradient, 1 - options_.alpha);
      spread = spread.addcmul(mean, mean, -1);
    }
    spread = spread.sqrt().add_(options_.eps);
    if (options_.momentum > 0) {
      at::Tensor& buffer = update.state["momentum_buffer"];
      buffer.mul_(options_.momentum).addcdiv_(gradient, spread, 1);
      update.weight.add_(buffer, -update.rate);
    } else {
      update.weight.addcdiv_(gradient, spread, -update.rate);
    }
  }

 private:
  RmspropOptions options_;
};

struct AdadeltaOptions {
  double rho = 0.9;
  double eps = 1e-6;
  double weight_decay = 0;
};

class Adadelta : public TensorOptimizer {
 public:
  Adadelta(std::vector<ParameterGroup> groups, AdadeltaOptions options)
      : TensorOptimizer(std::move(groups)), options_(options) {}

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    state.add("square_avg", state_zeros(parameter));
    state.add("acc_delta", state_zeros(parameter));
  }

  void apply(TensorUpdate& update) override {
    const at::Tensor gradient = decay(update, options_.weight_decay, false);
    at::Tensor& squares = update.state["square_avg"];
    at::Tensor& moves = update.state["acc_delta"];
    squares.mul_(options_.rho).addcmul_(gradient, gradient, 1 - options_.rho);
    const at::Tensor spread = squares.add(options_.eps).sqrt_();
    const at::Tensor move = moves.add(options_.eps).sqrt_().div_(spread).mul_(gradient);
    moves.mul_(options_.rho).addcmul_(move, move, 1 - options_.rho);
    update.weight.add_(move, -update.rate);
  }

 private:
  AdadeltaOptions options_;
};

using Groups = std::vector<ParameterGroup>;

std::unique_ptr<Optimizer> make_adagrad(Groups groups, ArgumentReader& arguments) {
  AdagradOptions options;
  arguments.number("lr_decay", options.lr_decay, 0);
  arguments.number("weight_decay", options.weight_decay, 0);
  arguments.number("initial_accumulator_value", options.initial_accumulator_value, 0);
  arguments.number("eps", options.eps, 0);
  arguments.without_effect({"foreach", "fused"});
  return std::make_unique<Adagrad>(std::move(groups), options);
}

std::unique_ptr<Optimizer> make_rmsprop(Groups groups, ArgumentReader& arguments) {
  RmspropOptions options;
  arguments.number("alpha", options.alpha, 0, 1);
  arguments.number("eps", options.eps, 0);
  arguments.number("weight_decay", options.weight_decay, 0);
  arguments.number("momentum", options.momentum, 0);
  arguments.flag("centered", options.centered);
  arguments.without_effect({"foreach", "capturable"});
  return std::make_unique<Rmsprop>(std::move(groups), options);
}

std::unique_ptr<Optimizer> make_adadelta(Groups groups, ArgumentReader& arguments) {
  AdadeltaOptions options;
  arguments.number("rho", options.rho, 0, 1);
  arguments.number("eps", options.eps, 0);
  arguments.number("weight_decay", options.weight_decay, 0);
  arguments.without_effect({"foreach", "capturable"});
  return std::make_unique<Adadelta>(std::move(groups), options);
}

MomentOptions read_moments(ArgumentReader& arguments) {
  MomentOptions options;
  arguments.betas("betas", options.beta1, options.beta2);
  arguments.number("eps", options.eps, 0);
  arguments.number("weight_decay", options.weight_decay, 0);
  arguments.without_effect({"foreach", "capturable"});
  return options;
}

}  // namespace

OptimizerTable adam_variants() {
  return {{"RAdam",
           [](Groups groups, ArgumentReader& arguments) {
             MomentOptions options = read_moments(arguments);
             arguments.flag("decoupled_weight_decay", options.decoupled_weight_decay);
             return std::make_unique<RAdam>(std::move(groups), options);
           }},
          {"NAdam",
           [](Groups groups, ArgumentReader& arguments) {
             MomentOptions options = read_moments(arguments);
             double momentum_decay = 4e-3;
             arguments.flag("decoupled_weight_decay", options.decoupled_weight_decay);
             arguments.number("momentum_decay", momentum_decay, 0);
             return std::make_unique<NAdam>(std::move(groups), options, momentum_decay);
           }},
          {"Adamax",
           [](Groups groups, ArgumentReader& arguments) {
             return std::make_unique<Adamax>(std::move(groups), read_moments(arguments));
           }},
          {"Adagrad", make_adagrad},
          {"RMSprop", make_rmsprop},
          {"Adadelta", make_adadelta}};
}

}  // namespace sdtune
