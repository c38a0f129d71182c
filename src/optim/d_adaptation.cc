// D-Adaptation on Adam, AdaGrad, Lion and SGD, with the settings and the arithmetic of the package
// dadaptation.
#include <cmath>

#include "optim/adaptive_rate.h"
#include "optim/optimizer_table.h"

namespace sdtune {

namespace {

struct DAdaptOptions {
  AdaptiveRateOptions rate;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;               // AdaGrad, SGD
  bool decouple = false;             // Adam: weight decay apart from the gradient
  bool use_bias_correction = false;  // Adam
};

// What the two forms on Adam share: the moments, and the second pass.
class DAdaptAdamBase : public AdaptiveRate {
 public:
  DAdaptAdamBase(std::vector<ParameterGroup> groups, DAdaptOptions options, const char* sum)
      : AdaptiveRate(std::move(groups), options.rate, {sum}), options_(options) {}

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    for (const char* name : {"exp_avg", "exp_avg_sq", "s"}) {
      state.add(name, state_zeros(parameter));
    }
  }

  bool begin() override {
    size_ = d() * rate_;
    if (options_.use_bias_correction) size_ *= bias_correction(options_.beta1, options_.beta2);
    return true;
  }

  at::Tensor gradient_of(const TensorUpdate& update) const {
    if (options_.weight_decay == 0 || options_.decouple) return update.gradient;
    return update.gradient.add(update.weight, options_.weight_decay);
  }

  at::Tensor spread(const TensorUpdate& update) const {
    return update.state["exp_avg_sq"].sqrt().add_(options_.eps);
  }

  void apply(TensorUpdate& update) override {
    if (options_.decouple) update.weight.mul_(1 - options_.weight_decay * size_);
    update.weight.addcdiv_(update.state["exp_avg"], spread(update), -1);
  }

  DAdaptOptions options_;
  double size_ = 0;   // d · rate, with the correction
  DeviceSum length_;  // the 1-norm of all s
};

class DAdaptAdam : public DAdaptAdamBase {
 public:
  DAdaptAdam(std::vector<ParameterGroup> groups, DAdaptOptions options)
      : DAdaptAdamBase(std::move(groups), options, "numerator_weighted"),
        root_beta2_(std::sqrt(options.beta2)) {}

 protected:
  void gather(TensorUpdate& update) override {
    if (update.rate <= 0) return;
    const at::Tensor gradient = gradient_of(update);
    at::Tensor& s = update.state["s"];
    numerator_.add(inner_product(gradient, s.div(spread(update))), size_);
    update.state["exp_avg"].mul_(options_.beta1).add_(gradient, size_ * (1 - options_.beta1));
    update.state["exp_avg_sq"]
        .mul_(options_.beta2)
        .addcmul_(gradient, gradient, 1 - options_.beta2);
    s.mul_(root_beta2_).add_(gradient, size_ * (1 - root_beta2_));
    length_.add(s.abs().sum());
  }

  bool adapt() override { return follow_products(root_beta2_, numerator_, length_); }

 private:
  double root_beta2_;
  DeviceSum numerator_;
};

// The form of the first preprint, which sd-scripts calls DAdaptation.
class DAdaptAdamPreprint : public DAdaptAdamBase {
 public:
  DAdaptAdamPreprint(std::vector<ParameterGroup> groups, DAdaptOptions options)
      : DAdaptAdamBase(std::move(groups), options, "gsq_weighted") {}

 protected:
  void gather(TensorUpdate& update) override {
    if (update.rate <= 0) return;
    const at::Tensor gradient = gradient_of(update);
    const at::Tensor square = gradient * gradient;
    update.state["exp_avg"].mul_(options_.beta1).add_(gradient, size_ * (1 - options_.beta1));
    update.state["exp_avg_sq"].mul_(options_.beta2).add_(square, 1 - options_.beta2);
    const at::Tensor divisor = spread(update);
    gradients_.add(square.div(divisor).sum());
    at::Tensor& s = update.state["s"];
    s.mul_(options_.beta2).add_(gradient, size_ * (1 - options_.beta2));
    sums_.add((s * s).div_(divisor).sum());
    length_.add(s.abs().sum());
  }

  bool adapt() override {
    const double rest = 1 - options_.beta2;
    const double gradients =
        options_.beta2 * shared("gsq_weighted") + gradients_.take() * size_ * size_ * rest;
    const double sums = sums_.take(), length = length_.take();
    if (length == 0) return false;
    set_shared("gsq_weighted", gradients);
    if (rate_ > 0) grow_to((sums / rest - gradients) / length);
    return true;
  }

 private:
  DeviceSum gradients_, sums_;
};

class DAdaptAdaGrad : public AdaptiveRate {
 public:
  DAdaptAdaGrad(std::vector<ParameterGroup> groups, DAdaptOptions options)
      : AdaptiveRate(std::move(groups), options.rate, {"gsq_weighted", "sksq_weighted", "skl1"}),
        options_(options) {}

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    state.add("alphak", state_zeros(parameter).fill_(1e-6));
    state.add("sk", state_zeros(parameter));
    state.add("x0", parameter.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true));
  }

  void gather(TensorUpdate& update) override {
    at::Tensor& s = update.state["sk"];
    at::Tensor& squares = update.state["alphak"];
    at::Tensor gradient = update.gradient;
    if (options_.weight_decay != 0) {
      gradient = gradient.add(update.weight, options_.weight_decay);
    }
    sums_.add(weighted(s, squares), -1);
    length_.add(s.abs().sum(), -1);
    squares.add_(gradient * gradient);
    gradients_.add(weighted(gradient, squares));
    s.add_(gradient, d() * rate_);
    sums_.add(weighted(s, squares));
    length_.add(s.abs().sum());
  }

  bool adapt() override {
    const double size = d() * rate_;
    const double sums = shared("sksq_weighted") + sums_.take();
    const double length = shared("skl1") + length_.take();
    const double gradients = shared("gsq_weighted") + size * size * gradients_.take();
    if (length == 0) return false;
    set_shared("sksq_weighted", sums);
    set_shared("skl1", length);
    set_shared("gsq_weighted", gradients);
    if (rate_ > 0) grow_to((sums - gradients) / length);
    return true;
  }

  void apply(TensorUpdate& update) override {
    const at::Tensor target =
        update.state["x0"] - update.state["sk"].div(update.state["alphak"].sqrt() + options_.eps);
    if (options_.momentum == 0) {
      update.weight.copy_(target);
    } else {
      update.weight.mul_(options_.momentum).add_(target, 1 - options_.momentum);
    }
  }

 private:
  at::Tensor weighted(const at::Tensor& value, const at::Tensor& squares) const {
    return (value * value).div(squares.sqrt() + options_.eps).sum();
  }

  DAdaptOptions options_;
  DeviceSum sums_, length_, gradients_;
};

class DAdaptLion : public AdaptiveRate {
 public:
  DAdaptLion(std::vector<ParameterGroup> groups, DAdaptOptions options)
      : AdaptiveRate(std::move(groups), options.rate, {"numerator_weighted"}),
        options_(options),
        root_beta2_(std::sqrt(options.beta2)) {}

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    state.add("exp_avg", state_zeros(parameter));
    state.add("s", state_zeros(parameter));
  }

  bool moves_while_gathering() const override { return true; }

  void gather(TensorUpdate& update) override {
    const double size = d() * rate_;
    at::Tensor& average = update.state["exp_avg"];
    at::Tensor& s = update.state["s"];
    update.weight.mul_(1 - size * options_.weight_decay);
    const at::Tensor direction =
        average.mul(options_.beta1).add_(update.gradient, 1 - options_.beta1).sign_();
    update.weight.add_(direction, -size);
    average.mul_(options_.beta2).add_(update.gradient, (1 - options_.beta2) * size);
    numerator_.add(inner_product(direction, s), size);
    s.mul_(root_beta2_).add_(direction, (1 - root_beta2_) * size);
    length_.add(s.abs().sum());
  }

  bool adapt() override { return follow_products(root_beta2_, numerator_, length_); }

 private:
  DAdaptOptions options_;
  double root_beta2_;
  DeviceSum numerator_, length_;
};

class DAdaptSgd : public AdaptiveRate {
 public:
  DAdaptSgd(std::vector<ParameterGroup> groups, DAdaptOptions options)
      : AdaptiveRate(std::move(groups), options.rate, {"numerator_weighted", "g0_norm"}),
        options_(options) {}

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    state.add("s", state_zeros(parameter));
    state.add("x0", parameter.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true));
  }

  // The first step's gradients set the unit.
  bool begin() override {
    if (shared("k") == 0) {
      DeviceSum squares;
      for (const at::Tensor& gradient : gradients())
        squares.add(gradient.to(at::kFloat).square().sum());
      set_shared("g0_norm", std::sqrt(squares.take()));
    }
    if (shared("g0_norm") == 0) return false;
    size_ = d() * rate_ / shared("g0_norm");
    return true;
  }

  void gather(TensorUpdate& update) override {
    if (update.rate <= 0) return;
    at::Tensor gradient = update.gradient;
    if (options_.weight_decay != 0) {
      gradient = gradient.add(update.weight, options_.weight_decay);
    }
    at::Tensor& s = update.state["s"];
    numerator_.add(inner_product(gradient, s), size_);
    s.add_(gradient, size_);
    squares_.add((s * s).sum());
  }

  bool adapt() override {
    const double numerator = shared("numerator_weighted") + numerator_.take();
    const double squares = squares_.take();
    if (squares == 0) return false;
    set_shared("numerator_weighted", numerator);
    if (rate_ > 0) grow_to(2 * numerator / std::sqrt(squares));
    return true;
  }

  void apply(TensorUpdate& update) override {
    const at::Tensor target = update.state["x0"] - update.state["s"];
    update.weight.mul_(options_.momentum).add_(target, 1 - options_.momentum);
  }

 private:
  DAdaptOptions options_;
  double size_ = 0;
  DeviceSum numerator_, squares_;
};

using Groups = std::vector<ParameterGroup>;

DAdaptOptions read_adam(ArgumentReader& arguments, bool preprint) {
  DAdaptOptions options;
  read_adaptive_rate(arguments, options.rate);
  arguments.betas("betas", options.beta1, options.beta2);
  arguments.number("eps", options.eps, 0);
  arguments.number("weight_decay", options.weight_decay, 0);
  arguments.flag("decouple", options.decouple);
  if (!preprint) arguments.flag("use_bias_correction", options.use_bias_correction);
  return options;
}

std::unique_ptr<Optimizer> make_preprint(Groups groups, ArgumentReader& arguments) {
  return std::make_unique<DAdaptAdamPreprint>(std::move(groups), read_adam(arguments, true));
}

std::unique_ptr<Optimizer> make_adam(Groups groups, ArgumentReader& arguments) {
  return std::make_unique<DAdaptAdam>(std::move(groups), read_adam(arguments, false));
}

std::unique_ptr<Optimizer> make_adagrad(Groups groups, ArgumentReader& arguments) {
  DAdaptOptions options{.eps = 1e-6};
  read_adaptive_rate(arguments, options.rate);
  arguments.number("momentum", options.momentum, 0, 1);
  arguments.number("eps", options.eps, 0);
  arguments.number("weight_decay", options.weight_decay, 0);
  return std::make_unique<DAdaptAdaGrad>(std::move(groups), options);
}

std::unique_ptr<Optimizer> make_lion(Groups groups, ArgumentReader& arguments) {
  DAdaptOptions options{.beta2 = 0.99};
  read_adaptive_rate(arguments, options.rate);
  arguments.betas("betas", options.beta1, options.beta2);
  arguments.number("weight_decay", options.weight_decay, 0);
  return std::make_unique<DAdaptLion>(std::move(groups), options);
}

std::unique_ptr<Optimizer> make_sgd(Groups groups, ArgumentReader& arguments) {
  DAdaptOptions options;
  read_adaptive_rate(arguments, options.rate);
  arguments.number("momentum", options.momentum, 0, 1);
  arguments.number("weight_decay", options.weight_decay, 0);
  return std::make_unique<DAdaptSgd>(std::move(groups), options);
}

}  // namespace

OptimizerTable d_adaptation_optimizers() {
  return {{"DAdaptation", make_preprint}, {"DAdaptAdamPreprint", make_preprint},
          {"DAdaptAdam", make_adam},      {"DAdaptAdaGrad", make_adagrad},
          {"DAdaptLion", make_lion},      {"DAdaptSGD", make_sgd}};
}

}  // namespace sdtune
