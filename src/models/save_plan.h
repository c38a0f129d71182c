// What a saved model consists of: the list of tensors of a single file or of a Diffusers component,
// each with the way to produce its bytes. Nothing is read or written here; formats/ writes the list
// as a stream.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "formats/weights.h"
#include "models/stable_diffusion.h"
#include "models/weight_values.h"

namespace sdtune {

// One of the three models as it is now: trained parameters, or the source's bytes.
struct PartValues {
  const ModelPart* part = nullptr;
  std::unordered_map<std::string, at::Tensor>
      trained;                // all parameters by name; empty: not trained
  std::optional<DType> cast;  // --save_precision

  WeightValues values(const BoundWeight& weight) const;
  DType dtype(const WeightValues& values) const;
};

struct ModelValues {
  PartValues unet;
  PartValues vae;
  PartValues text_encoder;
};

// The type that all trained and cast weights get; nothing for kAsTrained.
std::optional<DType> cast_type(SavePrecision precision);

ModelValues values_to_save(const ModelSource& source, const TrainedParts& trained,
                           SavePrecision precision);

// From a single file: its order, its foreign tensors' bytes. From a folder: U-Net, VAE, text
// encoder, and for SD 2.x the block, projection and scale that its single files have beside.
std::vector<TensorToWrite> plan_single_file(const ModelSource& source, const ModelValues& model);
// Under Diffusers' names; foreign tensors of a component's own file follow its weights.
std::vector<TensorToWrite> plan_component(const PartValues& values);

}  // namespace sdtune
