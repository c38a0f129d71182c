// AdamW (Loshchilov & Hutter 2019) and Adam (Kingma & Ba 2015) with torch's defaults and torch's
// fused kernels.
#pragma once

#include "optim/tensor_optimizer.h"

namespace sdtune {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
  bool amsgrad = false;   // divide by the largest second moment so far (Reddi et al. 2018)
  bool decoupled = true;  // off is Adam, whose weight decay is part of the gradient
};

class AdamW : public TensorOptimizer {
 public:
  AdamW(std::vector<ParameterGroup> groups, AdamWOptions options);

  // On CUDA all fp32 parameters of a group in one go.
  void step(const UpdateMoment& moment) override;

 protected:
  // "exp_avg", "exp_avg_sq", "step", with amsgrad "max_exp_avg_sq".
  void add_state(const at::Tensor& parameter, ParameterState& state) const override;
  void apply(TensorUpdate& update) override;

 private:
  struct Lists {
    std::vector<at::Tensor> weights, gradients, exp_avg, exp_avg_sq, max_exp_avg_sq, steps;
  };
  void append(TensorUpdate& update, Lists& lists) const;
  void update_all(const Lists& lists, double rate) const;

  AdamWOptions options_;
};

}  // namespace sdtune
