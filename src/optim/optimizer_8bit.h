// bitsandbytes' optimizers with 8-bit states: a quarter of the memory of fp32 moments, each block
// of 256 numbers with its own scale. Rules, defaults and settings are that package's, but for
// SGD's: nesterov, which it takes and ignores, and the momentum, which it wants said, is 0.9.
#pragma once

#include "kernels/update_8bit.h"
#include "optim/tensor_optimizer.h"

namespace sdtune {

struct Optimizer8bitOptions {
  Update8bit update;  // rate and time are filled in at each step
  // Smaller tensors keep fp32 states: they cost little and are the most sensitive.
  int64_t min_8bit_size = 4096;
  // AdEMAMix: alpha and beta3 rise to their values over so many steps; 0 has them from the start.
  int64_t t_alpha = 0;
  int64_t t_beta3 = 0;
};

class Optimizer8bit : public TensorOptimizer {
 public:
  Optimizer8bit(std::vector<ParameterGroup> groups, Optimizer8bitOptions options);

  bool scales_gradients() const override { return true; }
  bool takes_device_scale() const override { return !is_on_cpu_; }
  void forget_update(size_t group, size_t index) override;

 protected:
  // For each of the rule's moments, "exp_avg" say, "exp_avg_codes" (uint8) and "exp_avg_absmax"
  // (fp32, one for each 256), or "exp_avg" (fp32) for a small tensor; and "step".
  void add_state(const at::Tensor& parameter, ParameterState& state) const override;
  void apply(TensorUpdate& update) override;
  bool rounds_by_itself() const override { return true; }

 private:
  Optimizer8bitOptions options_;
  bool is_on_cpu_;  // every parameter
};

}  // namespace sdtune
