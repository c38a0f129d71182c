// A whole Stable Diffusion model: where its three parts come from, loading them, and writing them
// back with everything else that the source held.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/autoencoder_kl.h"
#include "models/clip_text.h"
#include "models/model_source.h"
#include "models/unet_2d_condition.h"

namespace sdtune {

struct ModelRequest {
  std::filesystem::path path;  // single file or Diffusers folder
  // --v2 must agree with the files, --v_parameterization where they say it. With nothing said it is
  // what the files say, and a model that says nothing of its prediction predicts the noise.
  std::optional<bool> v2 = false;
  std::optional<bool> v_parameterization = false;
  std::filesystem::path vae;  // --vae: file or folder, may be empty
};

// Opens the files and checks family, prediction type, names and shapes. Reads no weights. Errors
// name the file, the tensor and what to do (a wrong --v2 says which flag is right).
std::shared_ptr<const ModelSource> open_model(const ModelRequest& request);

// The VAE alone, of a whole model or of a file or folder that holds no more; of either family. Only
// the source's path and VAE are filled in.
std::shared_ptr<const ModelSource> open_vae(const std::filesystem::path& path);

// One part each, its weights read into new 64-byte aligned CPU tensors of `dtype`, a piece at a
// time.
UNet2DConditionModel load_unet(const ModelSource& source, at::ScalarType dtype = at::kFloat);
AutoencoderKL load_vae(const ModelSource& source, at::ScalarType dtype = at::kFloat);
ClipTextModel load_text_encoder(const ModelSource& source, at::ScalarType dtype = at::kFloat);

struct StableDiffusion {
  std::shared_ptr<const ModelSource> source;
  UNet2DConditionModel unet;
  AutoencoderKL vae;
  ClipTextModel text_encoder;
};

// All three in fp32.
StableDiffusion load_stable_diffusion(const ModelRequest& request);

enum class SaveFormat { kSafetensors, kCkpt, kDiffusers, kDiffusersSafetensors };
enum class SavePrecision { kAsTrained, kFloat, kFp16, kBf16 };

struct SaveRequest {
  std::filesystem::path path;  // file, or folder for the Diffusers formats
  SaveFormat format = SaveFormat::kSafetensors;
  SavePrecision precision = SavePrecision::kAsTrained;
  int64_t epoch = 0;
  int64_t global_step = 0;                      // both added to a .ckpt source's own numbers
  std::map<std::string, std::string> metadata;  // safetensors single files: models/modelspec.h
  // Diffusers formats: path inside the folder and content of files that the source lacks, such as
  // the tokenizer's ("tokenizer/vocab.json"). The source's own files of the same component win.
  std::vector<std::pair<std::string, std::string>> extra_files;
};

// Parts given as null were not trained: their source bytes are copied (cast when `precision` says
// so). A trained part is written in the types of its parameters, wherever they lie.
struct TrainedParts {
  UNet2DConditionModel* unet = nullptr;
  ClipTextModel* text_encoder = nullptr;
};

// What would make saving to `path` fail whatever is saved: sizes that a single file cannot express,
// or something that is no model folder in the place of one. Error.
void check_can_save(const ModelSource& source, SaveFormat format,
                    const std::filesystem::path& path);

// Single file to single file keeps the source's order and every tensor that no part knows, byte for
// byte. Streams: a few megabytes of memory beside the model. The target appears whole or not at
// all, and may be the source itself. Errors: disk full (asked before), and as check_can_save().
void save_stable_diffusion(const ModelSource& source, const TrainedParts& trained,
                           const SaveRequest& request);

}  // namespace sdtune
