// Finds the weights in a checkpoint's pickle: the tensors of the state dict with their names, and
// the text and numbers that stand beside it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "formats/pickle_machine.h"
#include "formats/weights.h"

namespace sdtune {

struct StateDict {
  std::vector<TensorInfo> infos;
  std::vector<PickleTensor> tensors;  // parallel to infos
  std::map<std::string, std::string> metadata;
};

// Error when the pickle holds no state dict. What is neither weight nor metadata is named in a
// warning.
StateDict find_state_dict(const PickleGraph& graph, const std::string& where);

// Text as it is, numbers in decimal form, "true" or "false"; nothing for other values.
std::optional<std::string> scalar_text(const PickleValue& value);

}  // namespace sdtune
