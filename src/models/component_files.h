// Finding the files of a Diffusers folder: a component's weights under any of their usual names,
// and the small files of components that are no models.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "formats/component_names.h"
#include "formats/weights.h"

namespace sdtune {

// Opens the weights in `folder`: safetensors before .bin, whole files before sharded ones, full
// precision before variants (".fp16." and so on). Error lists what was looked for.
std::shared_ptr<const WeightFile> open_component_weights(const std::filesystem::path& folder,
                                                         const WeightStems& stems);

// "component/file" -> content, of every component in `model_index_json` but the three models and
// the safety checker. A component with a file over 16 MB is left out with a warning.
std::map<std::string, std::string> read_other_components(const std::filesystem::path& folder,
                                                         const std::string& model_index_json);

}  // namespace sdtune
