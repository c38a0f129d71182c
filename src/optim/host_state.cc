#include "optim/host_state.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

namespace sdtune {

HostMemory::HostMemory()
    : HostMemory([](int64_t bytes) {
        return at::empty({bytes}, at::TensorOptions(at::kByte).pinned_memory(true));
      }) {}

// From the first slab that has room, so that small tensors fill what large ones leave.
at::Tensor HostMemory::take(int64_t bytes) {
  constexpr int64_t kAlignment = 256;  // as torch's own allocations on the device have it
  const int64_t size = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  auto slab =
      std::ranges::find_if(slabs_, [&](const Slab& s) { return s.bytes.numel() - s.used >= size; });
  if (slab == slabs_.end()) {
    slab = slabs_.insert(slab, {allocate_(std::max(size, slab_bytes_)), 0});
  }
  at::Tensor taken = slab->bytes.slice(0, slab->used, slab->used + bytes);
  slab->used += size;
  return taken;
}

at::Tensor HostMemory::copy_of(const at::Tensor& tensor) {
  return take(static_cast<int64_t>(tensor.nbytes()))
      .view(tensor.scalar_type())
      .as_strided(tensor.sizes(), tensor.strides())
      .copy_(tensor);
}

void wait_for_devices(const std::vector<ParameterGroup>& groups) {
  for (const ParameterGroup& group : groups) {
    for (const NamedParameter& parameter : group.parameters) {
      const at::Device device = parameter.tensor.device();
      if (!device.is_cuda()) continue;
      c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
    }
  }
}

StateTravel::StateTravel(at::Device device)
    : StateTravel(device, [device](const at::Tensor& tensor) {
        return device.is_cuda() && tensor.is_cpu() && tensor.is_pinned();
      }) {}

StateTravel::StateTravel(at::Device device, Travels travels)
    : device_(device), travels_(std::move(travels)), in_(device), out_(device) {}

void StateTravel::settle(ParameterState& state) {
  for (auto& [name, tensor] : state) {
    if (tensor.is_cuda()) tensor = memory_.copy_of(tensor);
  }
}

// Memory that a state leaves is taken again by one that comes in, which must not overtake it; nor
// must a state its own way home.
void StateTravel::make_room_for(const ParameterState& state) {
  constexpr size_t kLeaving = kVisitingStates - 2;  // beside the one that is updated and the next
  const auto is_own = [&](const Traveller& traveller) { return traveller.state == &state; };
  while (leaving_.size() > kLeaving || std::ranges::any_of(leaving_, is_own)) {
    in_.wait_for(leaving_.front().mark);
    leaving_.pop_front();
  }
}

void StateTravel::set_out(ParameterState& state) {
  make_room_for(state);
  Traveller traveller{.state = &state};
  {
    const auto guard = in_.use();
    for (auto& [name, tensor] : state) {
      const bool travels = travels_(tensor);
      traveller.hosts.push_back(travels ? tensor : at::Tensor());
      if (travels) {
        tensor = tensor.to(device_, tensor.scalar_type(), /*non_blocking=*/true, /*copy=*/true);
      }
    }
  }
  traveller.mark = in_.mark();
  coming_.push_back(std::move(traveller));
}

void StateTravel::arrive() const { in_.let_stream_in_use_wait_for(coming_.front().mark); }

void StateTravel::go_home(ParameterState& state) {
  Traveller traveller = std::move(coming_.front());
  coming_.pop_front();
  out_.wait_for_stream_in_use();
  {
    const auto guard = out_.use();
    auto host = traveller.hosts.begin();
    for (auto& [name, tensor] : state) {
      if (host->defined()) {
        traveller.visitors.push_back(tensor);
        tensor = host->copy_(tensor, /*non_blocking=*/true);
      }
      ++host;
    }
  }
  traveller.mark = out_.mark();
  leaving_.push_back(std::move(traveller));
}

}  // namespace sdtune
