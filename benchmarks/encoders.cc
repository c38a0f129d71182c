#include "encoders.h"

#include <ATen/ATen.h>

#include "models/autoencoder_kl.h"
#include "models/clip_text.h"
#include "models/random_init.h"

namespace sdtune {

namespace {

template <class Model>
std::shared_ptr<Model> make_frozen(Model model, const BenchJob& job, c10::Device device) {
  initialise(model, /*seed=*/0);
  visit_parameters(model, [&](const std::string&, at::Tensor& parameter) {
    parameter = parameter.to(device, job.compute_type());
  });
  model.compute_dtype = job.compute_type();
  return std::make_shared<Model>(std::move(model));
}

VaeConfig vae_config(const BenchJob& job) {
  if (!job.tiny) return {};
  return {.block_out_channels = {32, 32, 64, 64}, .layers_per_block = 1};
}

ClipTextConfig text_config(const BenchJob& job) {
  if (!job.tiny) return {};
  return {.hidden_size = 64,
          .intermediate_size = 128,
          .num_hidden_layers = 2,
          .num_attention_heads = 4};
}

}  // namespace

std::function<void()> picture_encoding(const BenchJob& job, c10::Device device) {
  const auto vae = make_frozen(AutoencoderKL(vae_config(job)), job, device);
  use_fastest_layout(*vae);
  const at::Tensor pictures = at::rand({job.batch, 3, job.height, job.width}).to(device) * 2 - 1;
  return [vae, pictures] {
    const at::NoGradGuard no_grad;
    vae->encode(pictures);
  };
}

std::function<void()> caption_encoding(const BenchJob& job, c10::Device device) {
  const auto text = make_frozen(ClipTextModel(text_config(job)), job, device);
  const at::Tensor ids =
      at::randint(text->config.vocab_size, {job.batch, 77}, at::kLong).to(device);
  return [text, ids] {
    const at::NoGradGuard no_grad;
    text->forward(ids);
  };
}

}  // namespace sdtune
