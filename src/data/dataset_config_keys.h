// The keys of a dataset configuration: which there are, at which levels of the file each may stand,
// what each accepts, and which option it sets. Knows nothing of the file's structure and of whose
// value counts (dataset_config.h).
#pragma once

#include <string>

#include "data/dataset_options.h"
#include "options/toml.h"

namespace sdtune {

// Flags, because most keys may stand at several levels.
enum class ConfigLevel : unsigned { kGeneral = 1, kDataset = 2, kSubset = 4 };

// "general", "datasets" or "datasets.subsets".
std::string level_name(ConfigLevel level);

// What a table of the file writes into. general and a dataset set the values that the subsets below
// them start from.
struct ConfigTarget {
  DatasetOptions& dataset;
  SubsetOptions& subset;
};

// Where a value stands: its key, the level, and the place for messages ("file:line").
struct ConfigPlace {
  std::string key;
  ConfigLevel level;
  std::string where;
};

// Sets the key's option to the value. UsageError for a key that does not exist (with a suggestion)
// or not at this level, a wrong type, a value out of range, and for what this trainer cannot do.
void apply_config_key(const ConfigPlace& place, const TomlValue& value, const ConfigTarget& target);

// Throws UsageError: "<key> is <value>", with the hint "give <accepted>".
[[noreturn]] void refuse_config_value(const ConfigPlace& place, const TomlValue& value,
                                      const std::string& accepted);

}  // namespace sdtune
