// The table of optimizers by name: each family adds its rows from its own file, and
// make_optimizer() looks them up. A new family is one function here and one line there.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "optim/optimizer.h"
#include "optim/optimizer_arguments.h"

namespace sdtune {

struct OptimizerEntry {
  std::string name;
  // Reads every setting that the rule has, given or not.
  std::function<std::unique_ptr<Optimizer>(std::vector<ParameterGroup>, ArgumentReader&)> make;
};
using OptimizerTable = std::vector<OptimizerEntry>;

OptimizerTable adam_optimizers();           // Adam, AdamW
OptimizerTable adam_variants();             // RAdam, NAdam, Adamax, Adagrad, RMSprop, Adadelta
OptimizerTable sgd_optimizers();            // SGD, SGDNesterov
OptimizerTable lion_optimizers();           // Lion
OptimizerTable adafactor_optimizers();      // AdaFactor
OptimizerTable came_optimizers();           // CAME
OptimizerTable adan_optimizers();           // Adan
OptimizerTable d_adaptation_optimizers();   // DAdaptation and DAdapt...
OptimizerTable d_adapt_adan_optimizers();   // DAdaptAdan, DAdaptAdanIP
OptimizerTable prodigy_optimizers();        // Prodigy
OptimizerTable schedule_free_optimizers();  // RAdam-, AdamW-, SGDScheduleFree
OptimizerTable optimizers_8bit();           // bitsandbytes' names: AdamW8bit, PagedAdamW, …

}  // namespace sdtune
