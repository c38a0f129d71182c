#include "optim/adaptive_rate.h"

#include <cmath>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "optim/optimizer_arguments.h"

namespace sdtune {

void DeviceSum::add(const at::Tensor& value, double factor) {
  const at::Tensor term = value.to(at::kDouble).mul(factor);
  sum_ = sum_.defined() ? sum_.add_(term) : term;
}

double DeviceSum::take() {
  const double result = sum_.defined() ? sum_.item<double>() : 0;
  sum_.reset();
  return result;
}

at::Tensor inner_product(const at::Tensor& a, const at::Tensor& b) {
  return at::dot(a.flatten(), b.flatten());
}

AdaptiveRate::AdaptiveRate(std::vector<ParameterGroup> groups, AdaptiveRateOptions options,
                           std::initializer_list<const char*> sums)
    : TensorOptimizer(std::move(groups)), adaptive_(options) {
  double largest = 0;
  for (const ParameterGroup& group : groups_) largest = std::max(largest, group.learning_rate);
  for (const ParameterGroup& group : groups_) {
    if (group.learning_rate != largest && group.learning_rate != 0) {
      throw UsageError("this optimizer takes one learning rate for all parameters, or 0",
                       "--learning_rate_te, --block_lr", "leave them out, or give 0");
    }
  }
  shared_.add("d", state_number(options.d0));
  shared_.add("k", state_number(0));
  for (const char* name : sums) shared_.add(name, state_number(0));
}

void AdaptiveRate::remark_on_rates() const {
  for (const ParameterGroup& group : groups_) {
    if (group.learning_rate > 0 && group.learning_rate <= 0.1) {
      log_warning(
          "this optimizer finds the size of steps itself; --learning_rate only scales it and "
          "should be about 1, not {}",
          group.learning_rate);
      break;
    }
  }
}

void AdaptiveRate::update_tensor(size_t group, size_t index, const UpdateMoment& moment) {
  Optimizer::update_tensor(group, index, moment);
}

void AdaptiveRate::apply(TensorUpdate&) {}

void AdaptiveRate::step(const UpdateMoment& moment) {
  const at::NoGradGuard no_grad;
  rate_ = 0;
  for (size_t g = 0; g < groups_.size(); ++g) rate_ = std::max(rate_, rate(g, moment));
  if (!begin()) return;
  each_with_gradient([&](size_t g, size_t i) {
    TensorUpdate update = prepare(g, i, moment);
    gather(update);
    if (moves_while_gathering()) store(update);
  });
  if (!adapt()) return;
  set_shared("k", shared("k") + 1);
  if (moves_while_gathering()) return;
  each_with_gradient([&](size_t g, size_t i) {
    TensorUpdate update = prepare(g, i, moment);
    apply(update);
    store(update);
  });
}

std::optional<double> AdaptiveRate::adapted_rate(size_t) const { return d() * rate_; }

double AdaptiveRate::bias_correction(double beta1, double beta2) const {
  const double t = shared("k") + 1;
  return std::sqrt(1 - std::pow(beta2, t)) / (1 - std::pow(beta1, t));
}

bool AdaptiveRate::follow_products(double decay, DeviceSum& products, DeviceSum& length) {
  const double numerator = decay * shared("numerator_weighted") + (1 - decay) * products.take();
  const double divisor = (1 - decay) * length.take();
  if (divisor == 0) return false;
  set_shared("numerator_weighted", numerator);
  if (rate_ > 0) grow_to(numerator / divisor);
  return true;
}

void AdaptiveRate::grow_to(double estimate) {
  set_shared("d", std::max(d(), std::min(estimate, d() * adaptive_.growth_rate)));
}

void read_adaptive_rate(ArgumentReader& arguments, AdaptiveRateOptions& options) {
  arguments.number("d0", options.d0, 1e-300);
  arguments.number("growth_rate", options.growth_rate, 1);
  arguments.without_effect({"log_every", "fsdp_in_use"});
}

}  // namespace sdtune
