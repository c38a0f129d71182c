#include "train/batch_inputs.h"

#include "base/philox.h"

namespace sdtune {

namespace {

// A step's copies to the device do not wait for it: they read what they are given before they
// return, because it is not pinned.
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

}  // namespace

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

std::optional<at::Tensor> mask_of(const Trainee& trainee, const LoadedBatch& batch) {
  if (!trainee.objective.masked || batch.alpha_mask.empty()) return std::nullopt;
  const auto [width, height] = batch.size;
  return latent_mask(borrowed(batch.alpha_mask, {count_of(batch), 1, height, width}),
                     {height / 8, width / 8})
      .to(trainee.device, /*non_blocking=*/true);
}

at::Tensor picture_weights_of(const Trainee& trainee, const LoadedBatch& batch) {
  return borrowed(batch.loss_weights, {count_of(batch)})
      .to(trainee.device, /*non_blocking=*/true, /*copy=*/true);
}

}  // namespace sdtune
