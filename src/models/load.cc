#include <unordered_map>

#include "models/stable_diffusion.h"
#include "models/weight_values.h"

namespace sdtune {
namespace {

template <class Model, class Config>
Model load_part(const ModelPart& part, const Config& config, at::ScalarType dtype) {
  std::unordered_map<std::string, const BoundWeight*> by_name;
  for (const auto& weight : part.weights) by_name.emplace(weight.want.name, &weight);
  Model model(config);
  visit_parameters(model, [&](const std::string& name, at::Tensor& parameter) {
    const BoundWeight& weight = *by_name.at(name);
    parameter = read_tensor(values_in_source(part, weight), weight.want.shape, dtype);
  });
  return model;
}

}  // namespace

UNet2DConditionModel load_unet(const ModelSource& source, at::ScalarType dtype) {
  return load_part<UNet2DConditionModel>(source.unet, source.unet_config, dtype);
}

AutoencoderKL load_vae(const ModelSource& source, at::ScalarType dtype) {
  return load_part<AutoencoderKL>(source.vae, source.vae_config, dtype);
}

ClipTextModel load_text_encoder(const ModelSource& source, at::ScalarType dtype) {
  return load_part<ClipTextModel>(source.text_encoder, source.text_config, dtype);
}

StableDiffusion load_stable_diffusion(const ModelRequest& request) {
  auto source = open_model(request);
  return {source, load_unet(*source), load_vae(*source), load_text_encoder(*source)};
}

}  // namespace sdtune
