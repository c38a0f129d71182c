#include "train/compatibility_options.h"

#include "base/error.h"
#include "base/log.h"

namespace sdtune {

void validate(const CompatibilityOptions& options) {
  if (options.dataset_class) {
    throw UsageError("a dataset class of Python cannot be loaded", "--dataset_class",
                     "describe the datasets in a file and name it with --dataset_config");
  }
}

void explain_accepted(const OptionTable& table) {
  for (const Option& option : table.options()) {
    if (!table.was_set(option.name) || option.get() == option.default_value) continue;
    if (option.group == CompatibilityOptions::kAccepted || option.help.starts_with("Accepted: ")) {
      log_info("--{} changes nothing: {}", option.name, option.help);
    }
  }
}

}  // namespace sdtune
