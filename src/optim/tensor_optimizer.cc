#include "optim/tensor_optimizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/philox.h"
#include "kernels/stochastic_round.h"
#include "optim/host_state.h"

namespace sdtune {

namespace {

// Strides of dimensions of size 1 say nothing.
bool are_laid_out_alike(const at::Tensor& a, const at::Tensor& b) {
  for (int64_t d = 0; d < a.dim(); ++d) {
    if (a.size(d) > 1 && a.stride(d) != b.stride(d)) return false;
  }
  return true;
}

// Fused kernels walk weights and gradients in the order of memory.
at::Tensor laid_out_as(const at::Tensor& weight, const at::Tensor& gradient) {
  if (gradient.strides() == weight.strides()) return gradient;
  if (are_laid_out_alike(gradient, weight)) {
    return gradient.as_strided(weight.sizes(), weight.strides());
  }
  return at::empty_like(weight).copy_(gradient);
}

}  // namespace

bool are_on_cpu(const std::vector<ParameterGroup>& groups) {
  return std::ranges::all_of(groups, [](const ParameterGroup& group) {
    return std::ranges::all_of(group.parameters,
                               [](const NamedParameter& p) { return p.tensor.is_cpu(); });
  });
}

void ParameterState::add(std::string name, at::Tensor tensor) {
  tensors_.emplace_back(std::move(name), std::move(tensor));
}

const at::Tensor& ParameterState::operator[](std::string_view name) const {
  for (const auto& [own_name, tensor] : tensors_) {
    if (own_name == name) return tensor;
  }
  throw Error(fmt::format("the optimizer keeps no \"{}\"", name));
}

at::Tensor& ParameterState::operator[](std::string_view name) {
  return const_cast<at::Tensor&>(std::as_const(*this)[name]);
}

at::Tensor state_zeros(const at::Tensor& parameter) {
  return at::zeros_like(parameter, parameter.options().dtype(at::kFloat).requires_grad(false));
}

at::Tensor state_number(double value) { return at::full({}, value, at::kDouble); }

double number_in(const at::Tensor& state) { return *state.const_data_ptr<double>(); }

double count_step(ParameterState& state) {
  at::Tensor& step = state["step"];
  step.add_(1);
  return number_in(step);
}

TensorOptimizer::~TensorOptimizer() = default;

TensorOptimizer::TensorOptimizer(std::vector<ParameterGroup> groups)
    : Optimizer(std::move(groups)) {
  for (const ParameterGroup& group : groups_) states_.emplace_back(group.parameters.size());
}

ParameterState& TensorOptimizer::state_of(size_t group, size_t index) {
  ParameterState& state = states_[group][index];
  if (!state.empty()) return state;
  add_state(groups_[group].parameters[index].tensor.detach(), state);
  if (travel_) travel_->settle(state);
  return state;
}

TensorUpdate TensorOptimizer::prepare(size_t group, size_t index, const UpdateMoment& moment) {
  const NamedParameter& parameter = groups_[group].parameters[index];
  // The name stands for the tensor, so that draws do not change when groups do.
  Random random(moment.seed, Draw::kRounding, static_cast<uint64_t>(moment.step),
                hash_number(parameter.name));
  const uint64_t high = random.next();
  at::Tensor weight = parameter.tensor.detach();
  at::Tensor gradient = parameter.tensor.grad();
  const auto is_narrow = [](const at::Tensor& t) { return t.scalar_type() == at::kBFloat16; };
  if (!rounds_by_itself() || !rounds_stochastically_ || !is_narrow(weight) ||
      !is_narrow(gradient)) {
    weight = weight.to(at::kFloat);
    gradient = gradient.to(at::kFloat);
  }
  return {.group = group,
          .index = index,
          .weight = weight,
          .gradient = laid_out_as(weight, gradient),
          .rate = rate(group, moment),
          .gradient_scale = moment.gradient_scale,
          .device_scale = moment.device_scale,
          .rounding_key = (high << 32) | random.next(),
          .state = state_of(group, index)};
}

void TensorOptimizer::store(const TensorUpdate& update) const {
  const at::Tensor target = groups_[update.group].parameters[update.index].tensor.detach();
  if (target.scalar_type() == update.weight.scalar_type()) return;
  if (target.scalar_type() != at::kBFloat16 || !rounds_stochastically_) {
    target.copy_(update.weight);
    return;
  }
  store_rounded(target, update.weight, update.rounding_key);
}

void TensorOptimizer::set_out(const Place& place) {
  if (travel_) travel_->set_out(state_of(place.group, place.index));
}

void TensorOptimizer::update_arrived(const Place& place, const UpdateMoment& moment) {
  TensorUpdate update = prepare(place.group, place.index, moment);
  if (travel_) travel_->arrive();
  apply(update);
  if (travel_) travel_->go_home(update.state);
  store(update);
}

void TensorOptimizer::update_tensor(size_t group, size_t index, const UpdateMoment& moment) {
  update_one_by_one({{group, index}}, moment);
}

// The state of the next sets out before one is updated.
void TensorOptimizer::update_one_by_one(const std::vector<Place>& places,
                                        const UpdateMoment& moment) {
  const at::NoGradGuard no_grad;
  if (!places.empty()) set_out(places[0]);
  for (size_t i = 0; i < places.size(); ++i) {
    if (i + 1 < places.size()) set_out(places[i + 1]);
    update_arrived(places[i], moment);
  }
}

void TensorOptimizer::apply_together(std::vector<TensorUpdate>& updates) {
  for (TensorUpdate& update : updates) apply(update);
}

void TensorOptimizer::step(const UpdateMoment& moment) {
  const at::NoGradGuard no_grad;
  std::vector<std::vector<TensorUpdate>> together(groups_.size());
  std::vector<Place> alone;
  each_with_gradient([&](size_t g, size_t i) {
    const at::Tensor& parameter = groups_[g].parameters[i].tensor;
    if (parameter.scalar_type() == at::kFloat && !state_is_on_host()) {
      together[g].push_back(prepare(g, i, moment));
    } else {
      alone.push_back({g, i});
    }
  });
  update_one_by_one(alone, moment);
  for (std::vector<TensorUpdate>& updates : together) {
    if (!updates.empty()) apply_together(updates);
  }
}

void TensorOptimizer::keep_state_on_host() {
  if (!updates_tensor_by_tensor()) Optimizer::keep_state_on_host();
  const auto has_any = [](const ParameterGroup& group) { return !group.parameters.empty(); };
  const auto group = std::ranges::find_if(groups_, has_any);
  travel_ = std::make_unique<StateTravel>(
      group == groups_.end() ? at::Device(at::kCPU) : group->parameters[0].tensor.device());
}

void TensorOptimizer::visit_state(const StateVisitor& visitor) {
  if (state_is_on_host()) wait_for_devices(groups_);
  for (size_t g = 0; g < groups_.size(); ++g) {
    for (size_t i = 0; i < groups_[g].parameters.size(); ++i) {
      for (auto& [name, tensor] : state_of(g, i)) {
        visitor(groups_[g].parameters[i].name + "." + name, tensor);
      }
    }
  }
  for (auto& [name, tensor] : shared_) visitor("optimizer." + name, tensor);
}

}  // namespace sdtune
