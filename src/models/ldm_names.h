// Every weight of the three models, made from their configurations: its Diffusers name and shape,
// and where the same numbers stand in a file with the original (LDM) names. One table serves
// loading and saving, for any number of levels and layers. It knows no files and no model classes.
// Names: CompVis/stable-diffusion and Stability-AI/stablediffusion on one side, diffusers 0.32 on
// the other.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/config.h"

namespace sdtune {

enum class ModelFamily { kV1, kV2 };  // SD 1.x with CLIP-L; SD 2.x with OpenCLIP-H

struct WeightName {
  std::string name;                // Diffusers' (Transformers') key inside its component
  std::vector<int64_t> shape;      // of the Diffusers weight
  std::string ldm;                 // key in a single file, with the prefix of its part
  std::vector<int64_t> ldm_shape;  // of the whole LDM tensor
  int64_t part = 0;      // this weight is rows [part, part + 1) * shape[0] of the LDM tensor,
  int64_t parts = 1;     // which joins `parts` weights (OpenCLIP's in_proj: query, key, value)
  std::string old_name;  // key of earlier diffusers releases, or ""
  std::string old_ldm;   // key of earlier single files, or ""
};

inline constexpr std::string_view kUNetPrefix = "model.diffusion_model.";
inline constexpr std::string_view kVaePrefix = "first_stage_model.";
inline constexpr std::string_view kClipPrefix = "cond_stage_model.transformer.";
inline constexpr std::string_view kOpenClipPrefix = "cond_stage_model.model.";

std::vector<WeightName> unet_weight_names(const UNetConfig& config);
std::vector<WeightName> vae_weight_names(const VaeConfig& config);
// Both families call the weights the same in Diffusers; their single files differ.
std::vector<WeightName> text_weight_names(const ClipTextConfig& config, ModelFamily family);

// True when both hold the same numbers in the same order: equal but for ones at the end, as a 1x1
// convolution [C, C, 1, 1] and a linear layer [C, C].
bool same_up_to_trailing_ones(const std::vector<int64_t>& a, const std::vector<int64_t>& b);

}  // namespace sdtune
