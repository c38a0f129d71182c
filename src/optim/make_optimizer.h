// Optimizers by the names of --optimizer_type.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "optim/optimizer.h"
#include "optim/optimizer_arguments.h"

namespace sdtune {

// Letters' case does not matter, nor does a package before the name (torch.optim.RAdam). Every
// optimizer also takes stochastic_rounding (for bf16 weights,
// True). UsageError for an unknown name, an unknown setting or a value that is no good; all of that
// shows with no groups at all, before a model is read.
std::unique_ptr<Optimizer> make_optimizer(const std::string& type,
                                          std::vector<ParameterGroup> groups,
                                          const OptimizerArguments& arguments);

std::vector<std::string> optimizer_names();

}  // namespace sdtune
