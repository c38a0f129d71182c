// AdamW (Loshchilov & Hutter 2019) with torch's defaults, all tensors in one fused call on every
// device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace sdtune {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
};

struct NamedParameter {
  std::string name;
  at::Tensor tensor;  // requires grad
};

struct ParameterGroup {
  std::vector<NamedParameter> parameters;
  double learning_rate = 0;  // before the schedule's factor
};

class AdamW {
 public:
  AdamW(std::vector<ParameterGroup> groups, AdamWOptions options);

  // One update of every parameter that has a gradient; `factor` is the schedule's. Where gradients
  // were scaled for fp16 the caller has unscaled them.
  void step(double factor);
  void zero_grad();  // gradients are freed

  const std::vector<ParameterGroup>& groups() const { return groups_; }
  std::vector<at::Tensor> gradients() const;  // the defined ones

  // Visits the state tensors by name, "<parameter>.exp_avg", ".exp_avg_sq" and ".step", making
  // those that are not there yet: for saving and for filling when a run resumes.
  void visit_state(const std::function<void(const std::string& name, at::Tensor& state)>& visitor);

 private:
  struct State {
    at::Tensor exp_avg, exp_avg_sq, step;
  };
  void make_state(State& state, const at::Tensor& parameter) const;

  std::vector<ParameterGroup> groups_;
  std::vector<std::vector<State>> states_;  // as groups_
  AdamWOptions options_;
};

// Scales the gradients so that their joint L2 norm is at most max_norm (torch's clip_grad_norm_,
// same epsilon). Returns the norm before, fp32, on the gradients' device; no host sync. max_norm 0
// only measures.
at::Tensor clip_gradients(const std::vector<at::Tensor>& gradients, double max_norm);

}  // namespace sdtune
