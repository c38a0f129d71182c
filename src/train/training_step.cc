#include "train/training_step.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "base/philox.h"
#include "diffusion/draws.h"
#include "train/nan_guard.h"

namespace sdtune {

namespace {

class Stopwatch {
 public:
  // Seconds since the last call.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

at::Tensor pictures_of(const LoadedBatch& batch) {
  const auto count = static_cast<int64_t>(batch.items.size());
  return at::from_blob(const_cast<float*>(batch.pixels.data()),
                       {count, 3, batch.size.height, batch.size.width}, at::kFloat);
}

// N(0, 1) for the posterior of each picture: its own stream, whatever batch it is in.
at::Tensor posterior_noise(const Trainee& trainee, const LoadedBatch& batch,
                           const StepPlace& place) {
  const auto count = static_cast<int64_t>(batch.items.size());
  at::Tensor noise = at::empty(
      {count, trainee.vae->config.latent_channels, batch.size.height / 8, batch.size.width / 8});
  for (int64_t i = 0; i < count; ++i) {
    Random random(place.seed, Draw::kPosterior, place.epoch, batch.ids[i], batch.repeats[i]);
    at::Tensor own = noise[i];
    random.fill_normal({own.data_ptr<float>(), static_cast<size_t>(own.numel())});
  }
  return noise;
}

// Scaled latents [B, 4, h, w] on the device: those that were kept, or the pictures' encoded now.
at::Tensor latents_of(const Trainee& trainee, const LoadedBatch& batch, const StepPlace& place) {
  if (batch.latents.empty()) {
    return encode_latents(trainee, pictures_of(batch), posterior_noise(trainee, batch, place));
  }
  const at::Tensor kept = at::from_blob(
      const_cast<float*>(batch.latents.data()),
      {static_cast<int64_t>(batch.items.size()), 4, batch.size.height / 8, batch.size.width / 8},
      at::kFloat);
  return kept.to(trainee.device) * trainee.source->vae_config.scaling_factor;
}

}  // namespace

StepResult training_step(Trainee& trainee, std::span<const LoadedBatch> batches,
                         const StepPlace& place, double max_grad_norm, Trace& trace) {
  StepResult result;
  Stopwatch watch;
  const auto counted =
      std::count_if(batches.begin(), batches.end(), [](const auto& b) { return !b.items.empty(); });
  at::Tensor loss_sum = at::zeros({}, at::TensorOptions(at::kFloat).device(trainee.device));
  const bool tracing = trace.active(place.step);

  for (size_t i = 0; i < batches.size(); ++i) {
    const LoadedBatch& batch = batches[i];
    const auto count = static_cast<int64_t>(batch.items.size());
    if (count == 0) continue;
    result.images += count;

    const at::Tensor latents = latents_of(trainee, batch, place);
    const at::Tensor context = trainee.text_states.encode(trainee, batch.captions);
    const DrawPosition draws{place.seed, place.step, static_cast<int64_t>(i) * place.batch_size};
    const at::Tensor noise = draw_noise(draws, latents.sizes()).to(trainee.device);
    const at::Tensor timesteps =
        draw_timesteps(draws, count, 0, kTrainTimesteps).to(trainee.device);
    const at::Tensor noisy = add_noise(trainee.noise_schedule, latents, noise, timesteps);
    result.encode_s += watch.lap();

    const at::Tensor prediction = trainee.unet.forward(noisy, timesteps, context);
    const at::Tensor target = trainee.source->prediction == PredictionType::kV
                                  ? velocity(trainee.noise_schedule, latents, noise, timesteps)
                                  : noise;
    const at::Tensor loss = at::mse_loss(prediction, target);
    const at::Tensor share = loss / counted;
    (trainee.scaler ? trainee.scaler->scale(share) : share).backward();
    loss_sum += loss.detach();
    result.unet_s += watch.lap();

    if (tracing) {
      const std::pair<const char*, at::Tensor> kept[] = {
          {"latents", latents},
          {"noise", noise},
          {"timesteps", timesteps},
          {"noisy_latents", noisy},
          {"input_ids", TextStates::token_ids(trainee, batch.captions)},
          {"encoder_hidden_states", context},
          {"model_pred", prediction},
          {"target", target}};
      for (const auto& [key, tensor] : kept) trace.keep(key, static_cast<int64_t>(i), tensor);
    }
  }
  if (result.images == 0) return result;

  const std::vector<at::Tensor> gradients = trainee.optimizer->gradients();
  const bool overflowed = trainee.scaler && !trainee.scaler->unscale(gradients);
  const at::Tensor norm = clip_gradients(gradients, max_grad_norm);
  result.loss = (loss_sum / counted).item<double>();
  result.grad_norm = norm.item<double>();
  result.updated = !overflowed && std::isfinite(result.loss) && std::isfinite(result.grad_norm);
  if (result.updated) {
    trainee.optimizer->step({place.lr_factor, place.seed, place.step});
  } else if (!overflowed || !std::isfinite(result.loss) || trainee.scaler->current_scale() <= 1) {
    result.finite = false;
    result.bad_tensor = first_bad_tensor(*trainee.optimizer);
  }
  if (trainee.scaler) trainee.scaler->update();
  trainee.optimizer->zero_grad();
  result.update_s = watch.lap();
  if (tracing) {
    trace.keep("loss", 0, loss_sum / counted);
    trace.keep("grad_norm", 0, norm);
    trace.keep("lr", 0,
               at::scalar_tensor(trainee.optimizer->groups()[0].learning_rate * place.lr_factor,
                                 at::kFloat));
    trace.write(place.step + 1);
  }
  return result;
}

}  // namespace sdtune
