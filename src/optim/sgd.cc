// Stochastic gradient descent with torch's settings and torch's fused kernel: momentum as
// v = momentum·v + (1 - dampening)·g, the first step's v being g, and Nesterov's g + momentum·v.
#include <span>

#include "base/error.h"
#include "optim/optimizer_table.h"
#include "optim/tensor_optimizer.h"

namespace sdtune {

namespace {

struct SgdOptions {
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
};

class Sgd : public TensorOptimizer {
 public:
  Sgd(std::vector<ParameterGroup> groups, SgdOptions options)
      : TensorOptimizer(std::move(groups)), options_(options) {
    if (options.nesterov && (options.momentum <= 0 || options.dampening != 0)) {
      throw UsageError("Nesterov's form needs a momentum and no dampening", "--optimizer_args",
                       "give momentum=0.9, or nesterov=False");
    }
  }

 protected:
  void add_state(const at::Tensor& parameter, ParameterState& state) const override {
    if (options_.momentum == 0) return;
    state.add("momentum_buffer", state_zeros(parameter));
    state.add("step", state_number(0));
  }

  void apply(TensorUpdate& update) override {
    TensorUpdate* const one[] = {&update};
    update_all(one, options_.momentum != 0 && count_step(update.state) == 1);
  }

  void apply_together(std::vector<TensorUpdate>& updates) override {
    std::vector<TensorUpdate*> first, later;
    for (TensorUpdate& update : updates) {
      const bool is_first = options_.momentum != 0 && count_step(update.state) == 1;
      (is_first ? first : later).push_back(&update);
    }
    if (!first.empty()) update_all(first, true);
    if (!later.empty()) update_all(later, false);
  }

 private:
  void update_all(std::span<TensorUpdate* const> updates, bool is_first) const {
    std::vector<at::Tensor> weights, gradients, momenta;
    for (TensorUpdate* update : updates) {
      weights.push_back(update->weight);
      gradients.push_back(update->gradient);
      if (options_.momentum != 0) momenta.push_back(update->state["momentum_buffer"]);
    }
    at::_fused_sgd_(weights, gradients, momenta, options_.weight_decay, options_.momentum,
                    updates.front()->rate, options_.dampening, options_.nesterov,
                    /*maximize=*/false, is_first);
  }

  SgdOptions options_;
};

std::unique_ptr<Optimizer> make(std::vector<ParameterGroup> groups, ArgumentReader& arguments,
                                SgdOptions options) {
  arguments.number("momentum", options.momentum, 0);
  arguments.number("dampening", options.dampening);
  arguments.number("weight_decay", options.weight_decay, 0);
  arguments.flag("nesterov", options.nesterov);
  arguments.without_effect({"fused", "foreach"});
  return std::make_unique<Sgd>(std::move(groups), options);
}

}  // namespace

OptimizerTable sgd_optimizers() {
  return {{"SGD", [](std::vector<ParameterGroup> groups,
                     ArgumentReader& arguments) { return make(std::move(groups), arguments, {}); }},
          {"SGDNesterov", [](std::vector<ParameterGroup> groups, ArgumentReader& arguments) {
             return make(std::move(groups), arguments, {.momentum = 0.9, .nesterov = true});
           }}};
}

}  // namespace sdtune
