// Hypernetworks in files: NovelAI's pickled form and the web UI's superset of it (.pt), and
// safetensors with the same names. The bytes are described in docs/formats.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "models/hypernetwork.h"
#include "models/stable_diffusion.h"

namespace sdtune {

// Reads either form, known by its bytes, into new fp32 CPU tensors. Error for a file that is
// something else, is hostile, or whose tensors are not those that its own settings ask for.
Hypernetwork load_hypernetwork(const std::filesystem::path& path);

struct HypernetworkSaveRequest {
  std::filesystem::path path;  // safetensors when it ends so, else pickled
  SavePrecision precision = SavePrecision::kAsTrained;
  int64_t step = 0;                             // optimizer steps done
  std::string name;                             // that programs show
  std::string model_name;                       // of the model it was trained on
  std::map<std::string, std::string> metadata;  // further entries, of safetensors alone
};

// The file appears whole or not at all.
void save_hypernetwork(Hypernetwork& hypernetwork, const HypernetworkSaveRequest& request);

}  // namespace sdtune
