// What kind of Stable Diffusion model a single file holds, read off its tensors' names and shapes.
// Head counts, norm groups and activations do not show in shapes; they follow the families' rules:
//   SD 1.x: 8 heads on each level, CLIP-L text encoder with heads of 64 and quick_gelu;
//   SD 2.x: heads of 64 everywhere, OpenCLIP text encoder with gelu, whose last block is not used.
// So small models of the same families work like the full-sized ones. No weights are read here.
#pragma once

#include <optional>
#include <string>

#include "formats/weights.h"
#include "models/config.h"
#include "models/ldm_names.h"

namespace sdtune {

enum class PredictionType { kEpsilon, kV };

// "epsilon" or "v_prediction", as in Diffusers' scheduler_config.json.
const char* prediction_type_name(PredictionType prediction);
// Reads Diffusers' and modelspec's words ("v"); nothing for "" and words that are neither.
std::optional<PredictionType> parse_prediction_type(const std::string& word);

// Errors: SDXL and other families by name where known, and files that hold no whole model.
ModelFamily family_of_single_file(const WeightFile& file);

// Error that says which way --v2 is right, unless `v2` agrees with `family` or is nothing.
void check_v2_flag(const std::string& place, ModelFamily family, std::optional<bool> v2);
// The prediction type: the flag's, which must agree with `stated` where the source states it.
// Without a flag it is the stated one, else epsilon.
PredictionType check_v_parameterization_flag(const std::string& place,
                                             std::optional<PredictionType> stated,
                                             std::optional<bool> flag);
// Error when the U-Net takes other inputs than four latent channels (inpainting, depth, …).
void check_input_channels(const std::string& place, int64_t in_channels);

// Sizes from the tensors. Errors name the tensor that is missing or odd.
UNetConfig infer_unet_config(const WeightFile& file, ModelFamily family, PredictionType prediction);
ClipTextConfig infer_text_config(const WeightFile& file, ModelFamily family);

// How a VAE's tensors are called: LDM names below `prefix`, or Diffusers' names.
struct VaeNaming {
  bool ldm = true;
  std::string prefix;  // "first_stage_model." or "" (a VAE of its own)
};
// Nothing when the file holds no VAE.
std::optional<VaeNaming> find_vae(const WeightFile& file);
VaeConfig infer_vae_config(const WeightFile& file, const VaeNaming& naming);

// Error when a single file could not tell these sizes, for they break the family's rules: what was
// saved would be read back as another model. `place` is the file to be written.
struct ModelSizes {
  ModelFamily family;
  const UNetConfig& unet;
  const VaeConfig& vae;
  const ClipTextConfig& text;
};
void check_single_file_can_tell(const std::string& place, const ModelSizes& sizes);

}  // namespace sdtune
