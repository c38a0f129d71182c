#include "train/batch_inputs.h"

#include "base/philox.h"

namespace sdtune {

namespace {

// Copies to the device read what they are given before they return, because it is not pinned.
at::Tensor borrowed(const std::vector<float>& values, at::IntArrayRef shape) {
  return at::from_blob(const_cast<float*>(values.data()), shape, at::kFloat);
}

int64_t count_of(const LoadedBatch& batch) { return static_cast<int64_t>(batch.items.size()); }

at::Tensor posterior_noise(const Trainee& trainee, const LoadedBatch& batch, uint64_t seed) {
  const int64_t count = count_of(batch);
  at::Tensor noise = at::empty(
      {count, trainee.vae->config.latent_channels, batch.size.height / 8, batch.size.width / 8});
  for (int64_t i = 0; i < count; ++i) {
    Random random(seed, Draw::kPosterior, batch.epoch, batch.ids[i], batch.repeats[i]);
    at::Tensor own = noise[i];
    random.fill_normal({own.data_ptr<float>(), static_cast<size_t>(own.numel())});
  }
  return noise;
}

at::Tensor latents_of(const Trainee& trainee, const LoadedBatch& batch, uint64_t seed) {
  const auto [width, height] = batch.size;
  if (batch.latents.empty()) {
    return encode_latents(trainee, borrowed(batch.pixels, {count_of(batch), 3, height, width}),
                          posterior_noise(trainee, batch, seed));
  }
  return borrowed(batch.latents, {count_of(batch), 4, height / 8, width / 8})
             .to(trainee.device, /*non_blocking=*/true) *
         trainee.source->vae_config.scaling_factor;
}

// At the latents' size, [B, 1, h, w] in [0, 1]; none when the loss is not masked or no picture of
// the batch has one.
std::optional<at::Tensor> mask_of(const Trainee& trainee, const LoadedBatch& batch) {
  if (!trainee.objective.masked || batch.alpha_mask.empty()) return std::nullopt;
  const auto [width, height] = batch.size;
  return latent_mask(borrowed(batch.alpha_mask, {count_of(batch), 1, height, width}),
                     {height / 8, width / 8})
      .to(trainee.device, /*non_blocking=*/true);
}

// What each picture counts: [B] fp32.
at::Tensor picture_weights_of(const Trainee& trainee, const LoadedBatch& batch) {
  return borrowed(batch.loss_weights, {count_of(batch)})
      .to(trainee.device, /*non_blocking=*/true, /*copy=*/true);
}

BatchInputs make_inputs(Trainee& trainee, const LoadedBatch& batch, const DrawPosition& draws) {
  const at::Tensor latents = latents_of(trainee, batch, draws.seed);
  const at::Tensor context = trainee.text_states.encode(trainee, batch.captions);
  return {latents,
          {.diffused = diffuse(trainee.objective, latents, draws),
           .context = context,
           .picture_weights = picture_weights_of(trainee, batch),
           .batches = {},
           .mask = mask_of(trainee, batch)}};
}

}  // namespace

BatchInputs inputs_of(Trainee& trainee, const LoadedBatch& batch, const DrawPosition& draws) {
  // The VAE's memory would lie beside that of the pass, and a text encoder that learns is part of
  // the pass.
  if (batch.latents.empty() || trainee.trains_text_encoder) {
    return make_inputs(trainee, batch, draws);
  }
  BatchInputs inputs;
  {
    const auto guard = trainee.inputs_stream.use();
    inputs = make_inputs(trainee, batch, draws);
  }
  const DiffusedBatch& diffused = inputs.pass.diffused;
  trainee.inputs_stream.hand_over({inputs.latents, inputs.pass.context, inputs.pass.picture_weights,
                                   inputs.pass.mask.value_or(at::Tensor()), diffused.noise,
                                   diffused.timesteps, diffused.noisy, diffused.target});
  return inputs;
}

}  // namespace sdtune
