#include "train/random_model.h"

#include "base/files.h"
#include "models/autoencoder_kl.h"
#include "models/clip_text.h"
#include "models/config_json.h"
#include "models/random_init.h"
#include "models/unet_2d_condition.h"
#include "text/tokenizer_files.h"
#include "train/tensor_file.h"

namespace sdtune {

namespace {

template <class Model>
void write_component(const fs::path& folder, const char* weights, const std::string& config,
                     Model model) {
  make_writable_folder(folder);
  initialise(model, /*seed=*/0);
  write_file(folder / "config.json", config);
  write_tensors(folder / weights, named_parameters(model));
}

}  // namespace

void write_random_model(const fs::path& folder, const RandomModel& sizes) {
  write_component(folder / "unet", "diffusion_pytorch_model.safetensors",
                  unet_config_json(sizes.unet), UNet2DConditionModel(sizes.unet));
  write_component(folder / "vae", "diffusion_pytorch_model.safetensors", vae_config_json(sizes.vae),
                  AutoencoderKL(sizes.vae));
  write_component(folder / "text_encoder", "model.safetensors", clip_text_config_json(sizes.text),
                  ClipTextModel(sizes.text));
  make_writable_folder(folder / "tokenizer");
  for (const auto& [name, content] : tokenizer_files(TextFamily::kV1))
    write_file(folder / name, content);
  write_file(folder / "model_index.json", R"({
  "_class_name": "StableDiffusionPipeline",
  "unet": ["diffusers", "UNet2DConditionModel"],
  "vae": ["diffusers", "AutoencoderKL"],
  "text_encoder": ["transformers", "CLIPTextModel"],
  "tokenizer": ["transformers", "CLIPTokenizer"]
}
)");
}

}  // namespace sdtune
