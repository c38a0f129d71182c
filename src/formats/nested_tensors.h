// Tensors that stand in dictionaries and lists within each other, as a hypernetwork's do: each gets
// the keys and places on its way, joined by dots, as its name. What a state dict is to most
// checkpoints, for those that hold more than one.
#pragma once

#include <cstddef>
#include <string>

#include "formats/state_dict.h"

namespace sdtune {

inline constexpr size_t kMaxNesting = 8;

// {320: [{"linear.0.bias": tensor}], "step": 5, "layer_structure": [1, 2.5]} gives the tensor
// "320.0.linear.0.bias" and the metadata step = "5" and layer_structure = "1, 2.5". None and opaque
// values are left out. Error for keys that are neither text nor whole numbers, for deeper nesting
// (circles are), and where shared values would make more entries or text than a pickle may have.
StateDict find_nested_tensors(const PickleGraph& graph, const std::string& where);

}  // namespace sdtune
