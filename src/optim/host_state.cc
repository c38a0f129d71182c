#include "optim/host_state.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace sdtune {

void move_to_host(ParameterState& state) {
  for (auto& [name, tensor] : state) {
    if (tensor.is_cpu()) continue;
    const auto options = tensor.options().device(at::kCPU).pinned_memory(true);
    at::Tensor pinned = at::empty(tensor.sizes(), options, tensor.suggest_memory_format());
    tensor = pinned.copy_(tensor);
  }
}

std::vector<at::Tensor> lend_to_device(ParameterState& state, at::Device device) {
  std::vector<at::Tensor> lent;
  if (device.is_cpu()) return lent;
  for (auto& [name, tensor] : state) {
    // Numbers that a rule reads on the CPU are not pinned and stay.
    const bool moves = tensor.is_cpu() && tensor.is_pinned();
    lent.push_back(moves ? tensor : at::Tensor());
    if (moves) tensor = tensor.to(device, /*non_blocking=*/true);
  }
  return lent;
}

void return_to_host(ParameterState& state, const std::vector<at::Tensor>& lent) {
  auto host = lent.begin();
  for (auto& [name, tensor] : state) {
    if (host == lent.end()) return;
    if (host->defined()) tensor = at::Tensor(*host).copy_(tensor, /*non_blocking=*/true);
    ++host;
  }
}

void wait_for_devices(const std::vector<ParameterGroup>& groups) {
  for (const ParameterGroup& group : groups) {
    for (const NamedParameter& parameter : group.parameters) {
      const at::Device device = parameter.tensor.device();
      if (device.is_cpu()) continue;
      c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
    }
  }
}

}  // namespace sdtune
