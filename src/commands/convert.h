// `sdtune convert` (sd-scripts' convert_diffusers20_original_sd.py): a model as a single file or a
// Diffusers folder, in another precision. The weights are read and written as a stream.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "options/option.h"

namespace sdtune {

struct ConvertOptions {
  std::filesystem::path model_to_load;
  std::filesystem::path model_to_save;
  bool v1 = false, v2 = false, v_parameterization = false;
  bool to_fp16 = false, to_bf16 = false, to_float = false;
  std::optional<std::string> save_precision_as;
  int64_t epoch = 0, global_step = 0;
  std::optional<std::string> metadata;
  std::optional<std::filesystem::path> vae;
  bool use_safetensors = false, unet_use_linear_projection = false;
  std::optional<std::string> variant, reference_model;

  template <class V>
  void visit(V& v) {
    v("model_to_load", model_to_load,
      "The model: a single file, a Diffusers folder or an id on the Hugging Face Hub.",
      Positional{}, Required{});
    v("model_to_save", model_to_save,
      "What to write: .safetensors or .ckpt for a single file, anything else for a folder.",
      Positional{}, Required{});
    v("v1", v1,
      "The model is a Stable Diffusion 1.x. It tells by itself; a wrong flag is an error.");
    v("v2", v2, "The model is a Stable Diffusion 2.x, likewise.");
    v("v_parameterization", v_parameterization,
      "The model predicts v, where its files do not say it.");
    v("fp16", to_fp16, "Write fp16.");
    v("bf16", to_bf16, "Write bf16.");
    v("float", to_float, "Write fp32.");
    v("save_precision_as", save_precision_as, "Type to write; as the model has it when not given.",
      Choices{"float", "fp16", "bf16"});
    v("epoch", epoch, "For a .ckpt: added to the epoch of its source.", Range{0, 1e12});
    v("global_step", global_step, "For a .ckpt: added to the steps of its source.", Range{0, 1e15});
    v("metadata", metadata,
      "For .safetensors: more entries of text, as JSON {\"name\": \"text\"}.");
    v("vae", vae, "Another VAE to put in: a file, a folder or an id.");
    v("use_safetensors", use_safetensors, "A folder's weights are safetensors in any case.");
    v("unet_use_linear_projection", unet_use_linear_projection,
      "Weights of both shapes are read wherever they stand.");
    v("variant", variant, "The model's files tell their type themselves.");
    v("reference_model", reference_model, "Scheduler and tokenizer are in the program.");
  }
};

int run_convert(std::span<const std::string> args);

}  // namespace sdtune
