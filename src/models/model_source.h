// The files of a whole model, opened and understood but not read: which weight stands where, the
// sizes of the three models, family and prediction type. Kept as long as a run lasts, for what was
// not trained is copied from here when the model is saved. It holds no weights.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "formats/weights.h"
#include "models/config.h"
#include "models/family.h"
#include "models/ldm_names.h"

namespace sdtune {

// A weight of the model and the tensor that holds it.
struct BoundWeight {
  WeightName want;
  const TensorInfo* found = nullptr;  // in the part's file
  bool whole = true;                  // false: one of want.parts equal runs of rows of `found`
};

// One of the three models: every weight it has, in the file that holds it.
struct ModelPart {
  std::shared_ptr<const WeightFile> file;
  std::vector<BoundWeight> weights;
  bool own_file = false;    // the file holds this part alone, under Diffusers' names
  std::string config_json;  // the component's config.json as it was; "" for single files
};

struct ModelSource {
  std::filesystem::path path;  // as given, without a slash at the end
  // The single file, which also holds what no part knows (EMA weights, schedule buffers, …); null
  // for a folder.
  std::shared_ptr<const WeightFile> single_file;

  ModelFamily family = ModelFamily::kV1;
  PredictionType prediction = PredictionType::kEpsilon;
  UNetConfig unet_config;
  VaeConfig vae_config;
  ClipTextConfig text_config;

  ModelPart unet;
  ModelPart vae;  // of --vae where that was given
  ModelPart text_encoder;

  // A folder's model_index.json, and the files of the components that are no models
  // ("tokenizer/vocab.json").
  std::string model_index_json;
  std::map<std::string, std::string> other_files;
};

// Weights of a component, found in `file` under the names that `ldm` says, below `file_prefix`
// instead of `table_prefix`. One Error lists what is missing; shapes that do not fit are Errors
// that name both.
struct BindRequest {
  std::shared_ptr<const WeightFile> file;
  std::vector<WeightName> weights;
  bool ldm = false;
  std::string table_prefix;  // LDM names: taken off each name …
  std::string file_prefix;   // … and replaced by this
};
ModelPart bind_weights(BindRequest request);

}  // namespace sdtune
