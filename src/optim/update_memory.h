// What the update of a parameter takes in memory beside the parameter, its gradient and its state:
// fp32 copies of narrow weights, and what the rule computes on the way. It is measured by updates
// of a small parameter, so that it is true of each rule with each setting.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "optim/optimizer_arguments.h"

namespace sdtune {

// Bytes for each element at the peak of an update, of a parameter like this one in type, memory
// layout and dimensions (meta will do), but for its first dimension. Errors as make_optimizer().
double update_bytes_per_element(const std::string& optimizer_type,
                                const OptimizerArguments& arguments, const at::Tensor& like);

}  // namespace sdtune
