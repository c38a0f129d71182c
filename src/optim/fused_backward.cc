#include "optim/fused_backward.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <cmath>
#include <functional>

#include "base/error.h"

namespace sdtune {

namespace {

class Hook : public torch::autograd::PostAccumulateGradHook {
 public:
  explicit Hook(std::function<void()> update) : update_(std::move(update)) {}
  void operator()(const torch::autograd::Variable&) override { update_(); }

 private:
  std::function<void()> update_;
};

}  // namespace

FusedBackward::FusedBackward(Optimizer& optimizer, double max_norm)
    : optimizer_(optimizer), max_norm_(max_norm) {
  if (!optimizer.updates_tensor_by_tensor()) {
    throw Error("this optimizer needs all gradients at once", "--fused_backward_pass",
                "leave it out, or take AdamW, AdamW8bit, Lion or AdaFactor");
  }
  for (size_t g = 0; g < optimizer.groups().size(); ++g) {
    const auto& parameters = optimizer.groups()[g].parameters;
    for (size_t i = 0; i < parameters.size(); ++i) {
      torch::autograd::impl::set_post_acc_grad_hooks(
          parameters[i].tensor, std::make_unique<Hook>([this, g, i] { update(g, i); }));
    }
  }
}

FusedBackward::~FusedBackward() {
  for (const ParameterGroup& group : optimizer_.groups()) {
    for (const NamedParameter& parameter : group.parameters) {
      torch::autograd::impl::set_post_acc_grad_hooks(parameter.tensor, nullptr);
    }
  }
}

void FusedBackward::begin(const UpdateMoment& moment) {
  moment_ = moment;
  squares_.reset();
  places_.clear();
  norms_.clear();
}

at::Tensor FusedBackward::norm() const {
  return squares_.defined() ? squares_.sqrt() : at::zeros({}, at::kFloat);
}

std::string FusedBackward::finish() {
  std::string bad;
  if (norms_.empty()) return bad;
  const at::Tensor norms = at::stack(norms_).cpu();
  for (size_t i = 0; i < places_.size(); ++i) {
    if (std::isfinite(norms.const_data_ptr<float>()[i])) continue;
    const auto [group, index] = places_[i];
    if (bad.empty()) bad = optimizer_.groups()[group].parameters[index].name;
    if (optimizer_.takes_device_scale()) optimizer_.forget_update(group, index);
  }
  return bad;
}

void FusedBackward::update(size_t group, size_t index) {
  const at::NoGradGuard no_grad;
  const NamedParameter& parameter = optimizer_.groups()[group].parameters[index];
  UpdateMoment moment = moment_;
  const at::Tensor norm =
      clip_gradients_for(optimizer_, {parameter.tensor.grad()}, max_norm_, moment);
  squares_ = squares_.defined() ? squares_ + norm.square() : norm.square();
  places_.push_back({group, index});
  norms_.push_back(norm);
  // What is updated cannot be taken back: one host sync a tensor, but where the device knows.
  if (optimizer_.takes_device_scale() || std::isfinite(norm.item<float>())) {
    optimizer_.update_tensor(group, index, moment);
  }
  parameter.tensor.mutable_grad().reset();
}

}  // namespace sdtune
