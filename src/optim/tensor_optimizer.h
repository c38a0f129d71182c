// The base of optimizers whose rule is written for one parameter at a time, in fp32. It keeps the
// state of each parameter, and it lets the same rule train bf16 and fp16 weights: the rule works on
// an fp32 copy, which is stored back with stochastic rounding (bf16) or to nearest (fp16).
// Kahan sums and fp32 masters are not kept: that is what mixed precision is for.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "optim/optimizer.h"

namespace sdtune {

class StateTravel;

// The state tensors of one parameter by short name ("exp_avg"), in the order they were added.
class ParameterState {
 public:
  void add(std::string name, at::Tensor tensor);
  // The tensor that was added by this name; Error when none was.
  at::Tensor& operator[](std::string_view name);
  const at::Tensor& operator[](std::string_view name) const;
  bool empty() const { return tensors_.empty(); }

  auto begin() { return tensors_.begin(); }
  auto end() { return tensors_.end(); }

 private:
  std::vector<std::pair<std::string, at::Tensor>> tensors_;
};

// Every parameter of the groups.
bool are_on_cpu(const std::vector<ParameterGroup>& groups);

// Zeros in fp32 with the parameter's shape, memory layout and device.
at::Tensor state_zeros(const at::Tensor& parameter);
// A number as state: [] fp64 on the CPU, so that it is read without waiting for a device.
at::Tensor state_number(double value);
double number_in(const at::Tensor& state);
// Adds 1 to the number "step" and returns it.
double count_step(ParameterState& state);

// One parameter in one step, as a rule sees it.
struct TensorUpdate {
  size_t group;
  size_t index;
  at::Tensor weight;        // fp32, to be changed in place; bf16 where rounds_by_itself()
  at::Tensor gradient;      // of the weight's type, laid out as the weight; not to be changed
  double rate;              // learning rate times the schedule's factor
  double gradient_scale;    // where the rule scales_gradients(); else 1
  at::Tensor device_scale;  // as UpdateMoment's, where the rule takes_device_scale()
  uint64_t rounding_key;    // of this tensor in this step
  ParameterState& state;
};

class TensorOptimizer : public Optimizer {
 public:
  explicit TensorOptimizer(std::vector<ParameterGroup> groups);
  ~TensorOptimizer() override;

  void step(const UpdateMoment& moment) override;
  bool updates_tensor_by_tensor() const override { return true; }
  void update_tensor(size_t group, size_t index, const UpdateMoment& moment) override;
  void visit_state(const StateVisitor& visitor) override;
  void keep_state_on_host() override;
  bool state_is_on_host() const override { return travel_ != nullptr; }

 protected:
  // Adds what the rule keeps for a parameter, as it is before the first update. `parameter` may be
  // of a narrow type.
  virtual void add_state(const at::Tensor& parameter, ParameterState& state) const = 0;
  // The rule: changes update.weight and update.state. No gradients are recorded.
  virtual void apply(TensorUpdate& update) = 0;
  // Whether apply() also takes bf16 weights with bf16 gradients, and stores them by stochastic
  // rounding with update.rounding_key: saves the fp32 copies.
  virtual bool rounds_by_itself() const { return false; }
  // The rule for fp32 parameters of one group, where a kernel may take them all at once.
  virtual void apply_together(std::vector<TensorUpdate>& updates);

  ParameterState& state_of(size_t group, size_t index);
  // What apply() is given. For a narrow parameter update.weight is a copy, for store().
  TensorUpdate prepare(size_t group, size_t index, const UpdateMoment& moment);
  // Brings the weight of a narrow parameter back to it.
  void store(const TensorUpdate& update) const;
  // Calls use(group, index) for every parameter that has a gradient.
  template <class Use>
  void each_with_gradient(Use use) {
    for (size_t g = 0; g < groups_.size(); ++g) {
      for (size_t i = 0; i < groups_[g].parameters.size(); ++i) {
        if (groups_[g].parameters[i].tensor.grad().defined()) use(g, i);
      }
    }
  }

  ParameterState shared_;  // of the whole optimizer; its names are saved as "optimizer.<name>"
  std::unique_ptr<StateTravel> travel_;  // of state that lives on the host

 private:
  struct Place {
    size_t group, index;
  };
  void set_out(const Place& place);
  // What set out is there; see StateTravel.
  void update_arrived(const Place& place, const UpdateMoment& moment);
  void update_one_by_one(const std::vector<Place>& places, const UpdateMoment& moment);

  std::vector<std::vector<ParameterState>> states_;  // as groups_
};

}  // namespace sdtune
