#include "models/component_files.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "formats/open_weights.h"
#include "models/sharded_weights.h"

namespace sdtune {
namespace {

constexpr uint64_t kMaxSmallFile = 16 << 20;

// The files of one component; nothing when one of them is large.
std::map<std::string, std::string> read_component(const fs::path& folder,
                                                  const std::string& component) {
  std::map<std::string, std::string> files;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder / component, code)) {
    if (!entry.is_regular_file()) continue;
    if (entry.file_size() > kMaxSmallFile) {
      log_warning("The component \"{}\" has large files and is left out of what is saved.",
                  component);
      return {};
    }
    files[component + "/" + entry.path().filename().string()] =
        read_file(entry.path(), kMaxSmallFile);
  }
  return files;
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.find_first_of("/\\") == std::string::npos;
}

}  // namespace

std::shared_ptr<const WeightFile> open_component_weights(const fs::path& folder,
                                                         const WeightStems& stems) {
  for (const auto& name : weight_file_names(stems)) {
    const fs::path path = folder / name;
    if (!fs::is_regular_file(path)) continue;
    if (name.ends_with(".json")) return open_sharded_weights(path);
    return open_weights(path);
  }
  throw Error(
      "the folder holds no weights", folder.string(),
      fmt::format(
          "{}.safetensors or {}.bin was expected (or a .fp16 variant, or an index of shards).",
          stems.safetensors, stems.bin));
}

std::map<std::string, std::string> read_other_components(const fs::path& folder,
                                                         const std::string& model_index_json) {
  const std::set<std::string> handled = {"unet", "vae", "text_encoder", "safety_checker"};
  std::map<std::string, std::string> files;
  const auto index = nlohmann::json::parse(model_index_json, nullptr, false);
  if (!index.is_object()) {
    throw Error("the file is not valid JSON", (folder / "model_index.json").string(),
                "Download the folder again.");
  }
  for (const auto& [component, classes] : index.items()) {
    if (component.starts_with("_") || handled.contains(component)) continue;
    if (!classes.is_array() || !is_plain_name(component)) continue;
    files.merge(read_component(folder, component));
  }
  return files;
}

}  // namespace sdtune
