// AdamW (Loshchilov & Hutter 2019) with torch's defaults and torch's fused kernel.
#pragma once

#include "optim/optimizer.h"

namespace sdtune {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
};

class AdamW : public TensorOptimizer {
 public:
  AdamW(std::vector<ParameterGroup> groups, AdamWOptions options);

  void update_tensor(size_t group, size_t index, const UpdateMoment& moment) override;
  // "<parameter>.exp_avg", ".exp_avg_sq" and ".step".
  void visit_state(const StateVisitor& visitor) override;

 private:
  struct State {
    at::Tensor exp_avg, exp_avg_sq, step;
  };
  State& state_of(size_t group, size_t index);

  std::vector<std::vector<State>> states_;  // as groups_
  AdamWOptions options_;
};

}  // namespace sdtune
