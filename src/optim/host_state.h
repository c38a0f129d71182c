// Optimizer state that lives in host memory and visits the device for the update of its parameter,
// so that the device holds the state of one tensor at a time. Host memory is pinned, for copies
// that the device makes by itself. Without a device there is nothing to move.
#pragma once

#include <vector>

#include "optim/tensor_optimizer.h"

namespace sdtune {

// Moves tensors on a device to pinned host memory. Those on the CPU stay what they are.
void move_to_host(ParameterState& state);

// Copies the pinned tensors to `device` and puts the copies in their place; returns the pinned ones
// in the state's order (undefined for others). Both directions follow the device's current stream;
// the host must wait for the device before it reads them.
std::vector<at::Tensor> lend_to_device(ParameterState& state, at::Device device);
void return_to_host(ParameterState& state, const std::vector<at::Tensor>& lent);

// Returns when the parameters' devices have done what they were given.
void wait_for_devices(const std::vector<ParameterGroup>& groups);

}  // namespace sdtune
