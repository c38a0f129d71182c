#include "train/compatibility_options.h"

#include "base/error.h"
#include "base/log.h"

namespace sdtune {

void validate(const CompatibilityOptions& options) {
  if (options.dataset_class) {
    throw UsageError("a dataset class of Python cannot be loaded", "--dataset_class",
                     "describe the datasets in a file and name it with --dataset_config");
  }
  if (options.resume_from_huggingface) {
    throw UsageError("states are read from this machine only", "--resume_from_huggingface",
                     "download the state's folder and give it to --resume");
  }
}

void explain_accepted(const OptionTable& table) {
  for (const Option& option : table.options()) {
    if (!table.was_set(option.name) || option.get() == option.default_value) continue;
    if (option.group == CompatibilityOptions::kLater) {
      log_warning("--{} is passed over: {}", option.name, option.help);
    } else if (option.group == CompatibilityOptions::kAccepted ||
               option.help.starts_with("Accepted: ")) {
      log_info("--{} changes nothing: {}", option.name, option.help);
    }
  }
}

}  // namespace sdtune
