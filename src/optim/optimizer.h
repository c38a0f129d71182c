// What every optimizer is to the trainer: groups of parameters, one update for each step, and a
// state that is saved by name. Gradients are read from the parameters themselves.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sdtune {

struct NamedParameter {
  std::string name;
  at::Tensor tensor;  // requires grad
};

struct ParameterGroup {
  std::vector<NamedParameter> parameters;
  double learning_rate = 0;   // before the schedule's factor
  std::string name = "unet";  // for logs
};

// The step that an update belongs to.
struct UpdateMoment {
  double lr_factor = 1;  // the schedule's
  uint64_t seed = 0;     // of the run: draws of an update are functions of (seed, step, tensor)
  int64_t step = 0;      // optimizer steps done before
  double gradient_scale = 1;  // only where scales_gradients(): what gradients are multiplied by
  // Only where takes_device_scale(): [] fp32 with the parameters, another factor; where it is not
  // finite the update changes nothing. Undefined is 1.
  at::Tensor device_scale;
};

class Optimizer {
 public:
  using StateVisitor = std::function<void(const std::string& name, at::Tensor& state)>;

  explicit Optimizer(std::vector<ParameterGroup> groups) : groups_(std::move(groups)) {}
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // One update of every parameter that has a gradient. Where gradients were scaled for fp16 the
  // caller has unscaled them.
  virtual void step(const UpdateMoment& moment) = 0;

  // Whether a parameter's update needs nothing but its own gradient, so that update_tensor() may
  // follow each gradient in the backward pass.
  virtual bool updates_tensor_by_tensor() const { return false; }
  virtual void update_tensor(size_t group, size_t index, const UpdateMoment& moment);

  // Whether the update multiplies gradients by moment.gradient_scale on its way, which saves a pass
  // over them. Others read them as they are.
  virtual bool scales_gradients() const { return false; }

  // Whether the update reads its factor, and whether to change anything, on the device, so that
  // nobody waits for that. Where it does, it scales_gradients() too.
  virtual bool takes_device_scale() const { return false; }

  // What the host says when it hears that the last update of a parameter, or of all that have
  // gradients, changed nothing for its device_scale: rules that count updates on the host take that
  // one back.
  virtual void forget_update(size_t /*group*/, size_t /*index*/) {}
  void forget_step();

  // Visits the state tensors by name, "<parameter>.exp_avg" and so on, making those that are not
  // there yet: for saving, and for filling when a run resumes. Names do not depend on groups.
  virtual void visit_state(const StateVisitor& visitor) = 0;

  // Whether the schedule's factor counts. Not where the rule finds its own rate (Adafactor's
  // relative step) or replaces schedules (schedule-free).
  virtual bool follows_schedule() const { return true; }

  // The rate that the rule chose itself for the last step: d·lr of D-Adaptation and Prodigy,
  // Adafactor's relative step. None where it is learning_rate · lr_factor.
  virtual std::optional<double> adapted_rate(size_t group) const;

  // What adapted_rate() says, or else the group's rate with this factor: for logs.
  double rate_in_use(size_t group, double lr_factor) const;

  // Schedule-free rules train at one point and are judged at another: true puts the averaged
  // weights into the parameters, for samples and saves, and false brings the trained ones back bit
  // for bit. Nothing for other rules.
  virtual void use_averaged_weights(bool /*averaged*/) {}

  // From now on the state lives in host memory (pinned) and visits the parameters' device a few
  // tensors at a time. To be called before the first step. UsageError where the rule does not
  // update tensor by tensor. No difference for parameters on the CPU.
  virtual void keep_state_on_host();
  virtual bool state_is_on_host() const { return false; }

  // Logs what the user should know of the rates that were given, where the rule has its own.
  virtual void remark_on_rates() const {}

  // bf16 weights are stored by stochastic rounding unless this is off.
  void round_stochastically(bool on) { rounds_stochastically_ = on; }

  // From now on gradients stay where they are: zero_grad() sets them to 0, and what is computed
  // next adds to them. For work that was recorded with their places.
  void keep_gradients() { keeps_gradients_ = true; }
  void zero_grad();  // gradients are freed, but where they are kept
  const std::vector<ParameterGroup>& groups() const { return groups_; }
  std::vector<at::Tensor> gradients() const;  // the defined ones

 protected:
  // learning_rate times the schedule's factor, where that counts.
  double rate(size_t group, const UpdateMoment& moment) const;

  std::vector<ParameterGroup> groups_;
  bool rounds_stochastically_ = true;

 private:
  bool keeps_gradients_ = false;
};

// The averaged weights while it lives, around a save or a sample. Where there is no memory for them
// all, the weights are the trained ones again and the error passes on.
class AveragedWeights {
 public:
  explicit AveragedWeights(Optimizer& optimizer) : optimizer_(optimizer) {
    try {
      optimizer_.use_averaged_weights(true);
    } catch (...) {
      optimizer_.use_averaged_weights(false);
      throw;
    }
  }
  ~AveragedWeights() { optimizer_.use_averaged_weights(false); }
  AveragedWeights(const AveragedWeights&) = delete;
  AveragedWeights& operator=(const AveragedWeights&) = delete;

 private:
  Optimizer& optimizer_;
};

// Scales the gradients so that their joint L2 norm is at most max_norm (torch's clip_grad_norm_,
// same epsilon). Returns the norm before, fp32, on the gradients' device; no host sync. max_norm 0
// only measures. A norm that is no number leaves them as they are, so that the bad one can be
// found.
at::Tensor clip_gradients(const std::vector<at::Tensor>& gradients, double max_norm);

// The same ahead of an update: where the optimizer scales gradients itself they stay as they are,
// and moment.gradient_scale, or moment.device_scale where the optimizer takes that, gets what they
// are to be multiplied by as another factor. A moment.device_scale that is given counts for the
// norm already; it becomes NaN where the norm is not finite.
at::Tensor clip_gradients_for(const Optimizer& optimizer, const std::vector<at::Tensor>& gradients,
                              double max_norm, UpdateMoment& moment);

}  // namespace sdtune
