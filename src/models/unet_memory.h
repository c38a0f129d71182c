// What the U-Net's forward pass leaves in memory for its backward pass, counted from its sizes:
// the tensors that autograd keeps of each unit of gradient checkpointing, as the layers of this
// folder are written. Elements, not bytes; small tensors (time, text, norms' moments) are left out.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "models/config.h"

namespace sdtune {

struct Hypernetwork;

struct UNetInput {
  int64_t batch = 1;
  int64_t height = 64, width = 64;  // of the latents
  int64_t text_rows = 77;
  // What the CPU computes in, by ways that need memory of their own (kernels/conv2d.h). Unset:
  // another device.
  std::optional<at::ScalarType> compute_on_cpu;
};

// A resnet, a transformer, or a convolution between them, in the order of the forward pass.
struct UnitMemory {
  int64_t result = 0;      // what it hands on: kept in any case
  int64_t inside = 0;      // kept beside, unless the unit is checkpointed
  int64_t backward = 0;    // gradients of activations that live at once in its backward pass
  int64_t workspace = 0;   // of the convolution that takes most
  int64_t parameters = 0;  // whose gradients its backward pass brings
};

// With a hypernetwork it is trained in every attention that it fits, and the U-Net is frozen:
// `parameters` are the hypernetwork's, counted in each unit that applies them. Null: the U-Net is
// trained.
std::vector<UnitMemory> unet_memory(const UNetConfig& config, const UNetInput& input,
                                    const Hypernetwork* hypernetwork = nullptr);

}  // namespace sdtune
