// The base of rules that learn the size of the steps, d, from all gradients together: D-Adaptation
// (Defazio & Mishchenko, "Learning-rate-free learning by D-Adaptation", ICML 2023) and Prodigy
// (Mishchenko & Defazio 2023). A step passes over the parameters twice: gather() sums what d
// follows from, then apply() moves the weights.
#pragma once

#include <limits>

#include "optim/optimizer_arguments.h"
#include "optim/tensor_optimizer.h"

namespace sdtune {

struct AdaptiveRateOptions {
  double d0 = 1e-6;                                              // the first estimate
  double growth_rate = std::numeric_limits<double>::infinity();  // of d in one step, at most
};

// A sum over many tensors that stays on their device until it is asked for.
class DeviceSum {
 public:
  void add(const at::Tensor& value, double factor = 1);  // value: []
  double take();                                         // the sum, which starts anew

 private:
  at::Tensor sum_;  // [] fp64
};

// a · b over all elements, [].
at::Tensor inner_product(const at::Tensor& a, const at::Tensor& b);

class AdaptiveRate : public TensorOptimizer {
 public:
  // `sums` names the numbers that the rule keeps beside "d" and the count of steps "k". UsageError
  // when groups have rates that are neither the same nor 0: there is one d for all.
  AdaptiveRate(std::vector<ParameterGroup> groups, AdaptiveRateOptions options,
               std::initializer_list<const char*> sums);

  void step(const UpdateMoment& moment) override;
  bool updates_tensor_by_tensor() const override { return false; }
  void update_tensor(size_t group, size_t index, const UpdateMoment& moment) override;
  std::optional<double> adapted_rate(size_t group) const override;
  // Warns where learning rates are far from 1: they multiply d.
  void remark_on_rates() const override;

 protected:
  // Before the first pass; false where this step can do nothing.
  virtual bool begin() { return true; }
  virtual void gather(TensorUpdate& update) = 0;
  // Moves d; false where there was no gradient to learn from, which leaves weights as they are.
  virtual bool adapt() = 0;
  // Whether gather() has moved the weights already.
  virtual bool moves_while_gathering() const { return false; }
  void apply(TensorUpdate& update) override;

  double shared(const char* name) const { return number_in(shared_[name]); }
  void set_shared(const char* name, double value) { shared_[name].fill_(value); }
  double d() const { return shared("d"); }
  // Adam's, for the step under way: sqrt(1 - beta2^t) / (1 - beta1^t).
  double bias_correction(double beta1, double beta2) const;
  // adapt() of D-Adaptation on Adam and on Lion: the estimate is a moving average of the products
  // of gradient and s, kept as "numerator_weighted", over the 1-norm of s.
  bool follow_products(double decay, DeviceSum& products, DeviceSum& length);
  // d grows to the estimate, as far as it may, and never shrinks.
  void grow_to(double estimate);

  double rate_ = 0;  // the groups' rate in this step
  AdaptiveRateOptions adaptive_;
};

void read_adaptive_rate(ArgumentReader& arguments, AdaptiveRateOptions& options);

}  // namespace sdtune
