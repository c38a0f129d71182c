// AdamW (Loshchilov & Hutter 2019) and Adam (Kingma & Ba 2015) with torch's defaults: on CUDA with
// kernels/adamw_device.h, on the CPU with kernels/adamw.h.
#pragma once

#include <span>

#include "kernels/adamw.h"
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

  bool scales_gradients() const override { return true; }
  bool takes_device_scale() const override { return !is_on_cpu_; }

 protected:
  // "exp_avg", "exp_avg_sq", "step", with amsgrad "max_exp_avg_sq".
  void add_state(const at::Tensor& parameter, ParameterState& state) const override;
  void apply(TensorUpdate& update) override;
  void apply_together(std::vector<TensorUpdate>& updates) override;

 private:
  void update_all(std::span<TensorUpdate> updates) const;
  void update_on_cpu(std::span<TensorUpdate> updates) const;
  void update_on_device(std::span<TensorUpdate> updates) const;
  AdamWRule rule_for(const TensorUpdate& update) const;

  AdamWOptions options_;
  bool is_on_cpu_;  // every parameter
};

}  // namespace sdtune
