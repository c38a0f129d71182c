// Random weights for models that are trained from nothing: the demo and the tests. Every tensor is
// a pure function of the seed and of its place in the model. Written for small models, not for
// speed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "models/parameters.h"

namespace sdtune {

using ParameterSlots = std::vector<std::pair<std::string, at::Tensor*>>;  // in visiting order

// Fills every slot with a new fp32 CPU tensor of the slot's shape, as torch's layers begin: weights
// and their biases uniform within 1/sqrt(fan-in) (He et al., 2015, with torch's constants), norms 1
// and 0, embedding tables N(0, 0.02²).
void initialise_slots(const ParameterSlots& slots, uint64_t seed);

template <class Model>
void initialise(Model& model, uint64_t seed) {
  ParameterSlots slots;
  visit_parameters(model,
                   [&](const std::string& name, at::Tensor& p) { slots.emplace_back(name, &p); });
  initialise_slots(slots, seed);
}

}  // namespace sdtune
