// The names that a component's weights have in a Diffusers folder, and which of them goes first.
// Names alone; what the files hold is for others to say.
#pragma once

#include <string>
#include <vector>

namespace sdtune {

// What they begin with: "diffusion_pytorch_model" for Diffusers' classes; Transformers call theirs
// "model.safetensors" and "pytorch_model.bin".
struct WeightStems {
  const char* safetensors;
  const char* bin;
};
inline constexpr WeightStems kDiffusersStems{"diffusion_pytorch_model", "diffusion_pytorch_model"};
inline constexpr WeightStems kTransformersStems{"model", "pytorch_model"};

// Every name that is understood, the first choice first: safetensors before .bin, full precision
// before variants (".fp16." and so on), whole files before indices of shards (".index.json").
std::vector<std::string> weight_file_names(const WeightStems& stems);

}  // namespace sdtune
