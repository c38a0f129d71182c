#include "train/latent_encoder.h"

#include "base/hash.h"
#include "models/weight_values.h"

namespace sdtune {

namespace {

std::string fingerprint(const ModelPart& vae) {
  Hasher hasher;
  for (const BoundWeight& weight : vae.weights) {
    const std::string& name = weight.want.name;
    if (!name.starts_with("encoder.") && !name.starts_with("quant_conv.")) continue;
    hasher.update(name);
    // As fp32, so that the same numbers count as the same whatever file holds them.
    write_values(values_in_source(vae, weight), DType::kF32,
                 [&](std::span<const std::byte> bytes) { hasher.update(bytes); });
  }
  return hasher.hex();
}

std::vector<float> to_vector(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kCPU, at::kFloat).contiguous();
  const auto* begin = values.const_data_ptr<float>();
  return {begin, begin + values.numel()};
}

}  // namespace

AutoencoderKL load_frozen_vae(const ModelSource& source, at::ScalarType type, at::Device device) {
  AutoencoderKL vae = load_vae(source, type);
  visit_parameters(vae, [&](const std::string&, at::Tensor& p) { p = p.to(device); });
  use_fastest_layout(vae);
  vae.compute_dtype = type;
  return vae;
}

std::string hint_for_latents(at::ScalarType vae_type, const std::string& fp32_option) {
  if (vae_type == at::kFloat) return "the VAE computes in fp32 already: take another one";
  return "half precision is too narrow for some VAEs: add " + fp32_option;
}

LatentEncoder latent_encoder(const AutoencoderKL& vae, const ModelSource& source, at::Device device,
                             const std::string& fp32_option) {
  const auto encode = [&vae, device](std::span<const float> pixels, int64_t count, Size size) {
    const at::NoGradGuard no_grad;
    const at::Tensor images = at::from_blob(const_cast<float*>(pixels.data()),
                                            {count, 3, size.height, size.width}, at::kFloat);
    const auto halves = vae.encode(images.to(device)).chunk(2, 1);
    return LatentMoments{to_vector(halves[0]), to_vector(halves[1])};
  };
  return {fingerprint(source.vae), encode, hint_for_latents(vae.compute_dtype, fp32_option)};
}

}  // namespace sdtune
