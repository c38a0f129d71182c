// What `accelerate launch` says through environment variables, for options that neither the command
// line nor a file names.
#pragma once

#include "options/option_table.h"

namespace sdtune {

// Sets mixed_precision, gradient_accumulation_steps and device from ACCELERATE_MIXED_PRECISION,
// ACCELERATE_GRADIENT_ACCUMULATION_STEPS and ACCELERATE_USE_CPU, and says so. UsageError naming the
// variable when a value is none of the option's.
void apply_accelerate_environment(OptionTable& table);

}  // namespace sdtune
