#include "data/dataset_config.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "data/dataset_config_keys.h"
#include "options/json_tree.h"

namespace sdtune {
namespace {

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// A relative path as the file means it: from the working directory, else from the file's folder.
fs::path resolved(const fs::path& path, const fs::path& file) {
  std::error_code ignored;
  if (path.empty() || path.is_absolute() || fs::exists(path, ignored)) return path;
  const fs::path beside = file.parent_path() / path;
  return fs::exists(beside, ignored) ? beside : path;
}

// Equal for two names of one file.
fs::path identity(const fs::path& path) {
  std::error_code error;
  fs::path known = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error) known = path.lexically_normal();
  return known.has_filename() ? known : known.parent_path();  // "a/" is "a"
}

class ConfigReader {
 public:
  explicit ConfigReader(const fs::path& file) : file_(file) {}

  std::vector<DatasetOptions> read(const TomlValue& root, DatasetOptions fallback) const {
    if (!root.is_table()) {
      throw UsageError("the file is a single value, not a table", file_.string(),
                       "give a table with the keys general and datasets");
    }
    SubsetOptions subset = fallback.subsets.at(0);
    subset.image_dir.clear();
    subset.metadata_file.clear();
    fallback.subsets.clear();
    const TomlValue* datasets = nullptr;
    for (const auto& [key, value] : root.entries) {
      if (key == "general") {
        apply(value, ConfigLevel::kGeneral, "general", {fallback, subset});
      } else if (key == "datasets") {
        datasets = &value;
      } else {
        refuse_top(key, place(value, key));
      }
    }
    std::vector<DatasetOptions> result;
    if (datasets) result = read_datasets(*datasets, fallback, subset);
    if (result.empty()) {
      throw UsageError("the file names no dataset to train on", file_.string(),
                       "add [[datasets]] with a [[datasets.subsets]] that has an image_dir and "
                       "num_repeats of at least 1");
    }
    return result;
  }

 private:
  // Where a value stands: its line, or in JSON, which has none here, the keys that lead to it.
  std::string place(const TomlValue& value, const std::string& keys) const {
    return value.line > 0 ? fmt::format("{}:{}", file_.string(), value.line)
                          : fmt::format("{}: {}", file_.string(), keys);
  }

  [[noreturn]] static void refuse_top(const std::string& key, const std::string& where) {
    const std::string near = nearest_name(key, {"general", "datasets"});
    throw UsageError(fmt::format("there is no key '{}' at the top of the file", key), where,
                     near.empty()
                         ? "the top takes: general, datasets; give what holds for all under general"
                         : fmt::format("did you mean {}?", near));
  }

  void apply(const TomlValue& table, ConfigLevel level, const std::string& keys,
             const ConfigTarget& target) const {
    if (!table.is_table()) {
      refuse_config_value({level_name(level), level, place(table, keys)}, table, "a table");
    }
    for (const auto& [key, value] : table.entries) {
      if (level == ConfigLevel::kDataset && key == "subsets") continue;
      apply_config_key({key, level, place(value, keys + "." + key)}, value, target);
    }
  }

  // The items of the list `name`, which is written as tables that begin with [[`name`]].
  const std::vector<TomlValue>& items(const TomlValue& list, ConfigLevel level,
                                      const std::string& keys) const {
    const std::string name = level_name(level);
    if (!list.is_array()) {
      refuse_config_value({name, level, place(list, keys)}, list,
                          fmt::format("a list of tables, each begun by [[{}]]", name));
    }
    return list.items;
  }

  std::vector<DatasetOptions> read_datasets(const TomlValue& list, const DatasetOptions& general,
                                            const SubsetOptions& subset) const {
    const auto& tables = items(list, ConfigLevel::kDataset, "datasets");
    std::vector<DatasetOptions> result;
    for (size_t i = 0; i < tables.size(); ++i) {
      DatasetOptions dataset = general;
      read_dataset(tables[i], fmt::format("datasets[{}]", i), dataset, subset);
      if (!dataset.subsets.empty()) result.push_back(std::move(dataset));
    }
    return result;
  }

  void read_dataset(const TomlValue& table, const std::string& keys, DatasetOptions& dataset,
                    SubsetOptions defaults) const {
    apply(table, ConfigLevel::kDataset, keys, {dataset, defaults});
    const auto list = std::find_if(table.entries.begin(), table.entries.end(),
                                   [](const TomlEntry& entry) { return entry.key == "subsets"; });
    if (list == table.entries.end() || (list->value.is_array() && list->value.items.empty())) {
      throw UsageError("the dataset has no subsets", place(table, keys),
                       "add a [[datasets.subsets]] with an image_dir below it");
    }
    const auto& tables = items(list->value, ConfigLevel::kSubset, keys + ".subsets");
    std::set<std::pair<bool, fs::path>> seen;
    for (size_t i = 0; i < tables.size(); ++i) {
      const std::string subset_keys = fmt::format("{}.subsets[{}]", keys, i);
      SubsetOptions subset = defaults;
      apply(tables[i], ConfigLevel::kSubset, subset_keys, {dataset, subset});
      if (finish_subset(subset, place(tables[i], subset_keys), seen))
        dataset.subsets.push_back(subset);
    }
  }

  // False, with a warning, for a subset that does not count.
  bool finish_subset(SubsetOptions& subset, const std::string& where,
                     std::set<std::pair<bool, fs::path>>& seen) const {
    if (subset.metadata_file.empty() && subset.image_dir.empty()) {
      throw UsageError("the subset names no pictures", where,
                       "give metadata_file, image_dir, or both");
    }
    subset.image_dir = resolved(subset.image_dir, file_);
    subset.metadata_file = resolved(subset.metadata_file, file_);
    subset.mask_dir = resolved(subset.mask_dir, file_);
    const bool is_plain = subset.metadata_file.empty();
    const fs::path& source = is_plain ? subset.image_dir : subset.metadata_file;
    if (subset.num_repeats < 1) {
      log_warning("{}: the subset {} is left out: its num_repeats is {}", where, source.string(),
                  subset.num_repeats);
      return false;
    }
    if (!seen.emplace(is_plain, identity(source)).second) {
      log_warning("{}: the subset is left out: {} stands in this dataset already", where,
                  source.string());
      return false;
    }
    return true;
  }

  const fs::path& file_;
};

bool is_json(const fs::path& file) {
  const std::string extension = lower(file.extension().string());
  if (extension == ".json") return true;
  if (extension == ".toml") return false;
  throw UsageError("the dataset configuration is neither a .toml nor a .json file", file.string(),
                   "give --dataset_config a file whose name ends in .toml or .json");
}

}  // namespace

std::vector<DatasetOptions> read_dataset_config(const fs::path& file,
                                                const DatasetOptions& fallback) {
  is_json(file);  // the name is judged before the content
  return parse_dataset_config(read_file(file, kTomlLimit), file, fallback);
}

std::vector<DatasetOptions> parse_dataset_config(const std::string& text, const fs::path& file,
                                                 const DatasetOptions& fallback) {
  const std::string name = file.string();
  const TomlValue root = is_json(file) ? parse_json_tree(text, name) : parse_toml(text, name);
  return ConfigReader(file).read(root, fallback);
}

Interpolation parse_interpolation(const std::string& name, const std::string& where) {
  static const std::vector<std::pair<std::string, Interpolation>> kNames = {
      {"lanczos", Interpolation::kLanczos},   {"nearest", Interpolation::kNearest},
      {"bilinear", Interpolation::kBilinear}, {"linear", Interpolation::kBilinear},
      {"bicubic", Interpolation::kBicubic},   {"cubic", Interpolation::kBicubic},
      {"area", Interpolation::kArea},         {"box", Interpolation::kBox}};
  std::vector<std::string> names;
  for (const auto& [known, interpolation] : kNames) {
    if (known == lower(name)) return interpolation;
    names.push_back(known);
  }
  const std::string near = nearest_name(lower(name), names);
  throw UsageError(
      fmt::format("there is no interpolation '{}'", name), where,
      fmt::format("{}give one of: {}", near.empty() ? "" : fmt::format("did you mean {}? ", near),
                  fmt::join(names, ", ")));
}

}  // namespace sdtune
