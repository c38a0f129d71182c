#include "train/accelerate_environment.h"

#include <optional>
#include <string>

#include "base/log.h"
#include "base/system.h"

namespace sdtune {

namespace {

void apply(OptionTable& table, const char* variable, const char* name,
           const std::optional<std::string>& text) {
  const Option* option = table.find(name);
  if (option == nullptr || !text || table.was_set(name)) return;
  const OptionValue value =
      parse_value(*option, *text, std::string("environment variable ") + variable);
  if (value == option->get()) return;
  table.assign(*option, value, OptionSource::kEnvironment);
  log_info("--{}={} is taken from {}", name, *text, variable);
}

}  // namespace

void apply_accelerate_environment(OptionTable& table) {
  for (const auto& [variable, name] :
       {std::pair{"ACCELERATE_MIXED_PRECISION", "mixed_precision"},
        std::pair{"ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "gradient_accumulation_steps"}}) {
    apply(table, variable, name, environment_variable(variable));
  }
  const std::string use_cpu = environment_variable("ACCELERATE_USE_CPU").value_or("");
  if (use_cpu == "true" || use_cpu == "True" || use_cpu == "1" || use_cpu == "yes") {
    apply(table, "ACCELERATE_USE_CPU", "device", "cpu");
  }
}

}  // namespace sdtune
